"""What happens to tasks of a real worker is written down, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.kit.chronicle import Chronicle
from tests.kit.service import Container

from celeriac import CeleryPublisher
from celeriac.exceptions import HistoryUnavailable
from celeriac.history.deadletters import DeadLetters
from celeriac.history.records import HistoryFilter, HistoryState
from celeriac.history.service import TaskHistory

WAIT = 90
pytestmark = [pytest.mark.xdist_group("history"), pytest.mark.timeout(240)]


def state(chronicled, task_id):
    record = chronicled.history.get(task_id)
    return record and record.state


def written(chronicled, count, **chosen):
    return until(lambda: chronicled.history.count(HistoryFilter(**chosen)) >= count, timeout=WAIT)


@pytest.fixture(params=forms(["sqlite"], ["postgresql"]))
def kind(request):
    return request.param


@pytest.mark.proves("H-11", "S001-15")
def test_a_task_is_known_from_its_publish_on_and_others_are_not(chronicled):
    task_id = chronicled.send("echo", 1, headers={"tags": ["urgent"]})
    record = chronicled.history.get(task_id)
    assert record is not None
    assert (record.state, record.name, record.queue) == (HistoryState.QUEUED, "echo", "default")
    assert record.tags == ("urgent",)
    assert chronicled.history.get("nobody") is None
    assert chronicled.history.figures().backlog == 1


@pytest.mark.proves("S001-14", "S001-19")
@pytest.mark.parametrize("pool", forms(["lane"], ["prefork", "threads"]))
def test_every_end_is_written_down(chronicled, pool):
    chronicled.start(pool=pool)
    ids = {name: chronicled.send(name) for name in ("echo", "hopeless", "again", "quiet", "parent")}
    ids["steps"] = chronicled.send("steps", 0.2)
    written(chronicled, 7, states=(HistoryState.SUCCEEDED, HistoryState.FAILED))
    until(lambda: chronicled.history.figures().backlog == 0, timeout=WAIT)
    records = {name: chronicled.history.get(task_id) for name, task_id in ids.items()}

    assert records["hopeless"].state is HistoryState.FAILED
    assert records["hopeless"].error == "ValueError: no use"
    assert "raise ValueError" in records["hopeless"].traceback
    assert [each.state for each in records["again"].attempts] == ["retried", "retried", "succeeded"]
    assert records["again"].attempts[0].error == "ValueError: not yet"
    assert records["again"].result == 2
    assert records["quiet"].state is HistoryState.SUCCEEDED
    assert records["steps"].progress == {"current": 1, "total": 2}
    assert records["steps"].result == "done"
    (child,) = records["parent"].children
    assert child == records["parent"].result
    assert chronicled.history.get(child).parent_id == ids["parent"]
    for record in records.values():
        assert record.queued_at <= record.started_at <= record.ended_at
        assert record.worker.startswith("test-")


@pytest.mark.proves("S001-19")
def test_a_record_outlives_its_result(chronicled):
    chronicled.start(env={"CELERY_RESULT_EXPIRES": "1"})
    task_id = chronicled.send("echo", {"a": [1, 2]})
    written(chronicled, 1, states=(HistoryState.SUCCEEDED,))
    until(lambda: not chronicled.redis.exists(f"celery-task-meta-{task_id}"), timeout=WAIT)
    record = chronicled.history.get(task_id)
    assert record.state is HistoryState.SUCCEEDED
    assert record.result == {"a": [1, 2]}


def test_secrets_are_written_nowhere(chronicled):
    Chronicle.install(chronicled.app, Container())
    chronicled.start()
    registry = Chronicle(CeleryPublisher(chronicled.app))
    plain: Any = "hunter2"  # what a form gives; the task makes a secret of it
    result = registry.login.delay("ann", plain)
    assert result.get(timeout=WAIT).get_secret_value().startswith("token of ann")
    written(chronicled, 1, states=(HistoryState.SUCCEEDED,))
    record = chronicled.history.get(result.id)
    assert not record.replayable
    assert "ann" in record.args_text
    assert record.result is None
    assert record.tags == ("billing", "slow")
    assert chronicled.history.count(HistoryFilter(tag="billing")) == 1
    assert "hunter2" not in repr(record)
    assert "token of" not in repr(record)


def test_values_that_are_too_long_are_cut(chronicled):
    chronicled.start()
    task_id = chronicled.send("echo", "x" * 20_000)
    written(chronicled, 1, states=(HistoryState.SUCCEEDED,))
    record = chronicled.history.get(task_id)
    assert not record.replayable
    assert record.result is None
    assert 1000 < len(record.result_text) < 5000
    assert len(record.args_text) < 2000


@pytest.mark.proves("S001-19")
def test_a_task_that_kills_its_workers_is_dead_in_the_end_with_all_its_attempts(chronicled):
    chronicled.start(concurrency=1)
    task_id = chronicled.send("poison")
    until(lambda: state(chronicled, task_id) is HistoryState.DEAD, timeout=WAIT)
    record = chronicled.history.get(task_id)
    assert record.dead_reason.startswith("too-many-deliveries")
    assert DeadLetters(chronicled.app).show(record.dead_letter).task_id == task_id


@pytest.mark.proves("S001-19")
def test_nothing_is_missing_after_workers_were_killed_in_the_middle(chronicled):
    short = {"CELERY_BROKER_LEASE": "2"}
    ids = [chronicled.send("nap", 0.01) for _ in range(300)]
    for _ in range(2):
        worker = chronicled.start(env=short)
        until(
            lambda: chronicled.redis.llen("default") < 250 or chronicled.redis.keys("celeriac.inflight:*"), timeout=WAIT
        )
        time.sleep(0.3)
        worker.kill()
    chronicled.start(env=short)
    written(chronicled, 300, states=(HistoryState.SUCCEEDED,))
    until(lambda: chronicled.history.figures().backlog == 0, timeout=WAIT)
    for task_id in ids[::10]:
        record = chronicled.history.get(task_id)
        assert (record.state, record.name) == (HistoryState.SUCCEEDED, "nap")
        assert record.queued_at is not None
        assert record.attempts[-1].state is HistoryState.SUCCEEDED


def test_a_revoked_task_is_known_as_such(chronicled):
    task_id = chronicled.send("echo", 1)
    chronicled.app.control.revoke(task_id)
    chronicled.start()
    until(lambda: state(chronicled, task_id) is HistoryState.REVOKED, timeout=WAIT)
    assert chronicled.history.get(task_id).attempts == ()


def test_while_a_task_runs_its_state_says_so(chronicled):
    chronicled.start()
    task_id = chronicled.send("nap", 600)
    until(lambda: state(chronicled, task_id) is HistoryState.STARTED, timeout=WAIT)
    pid = chronicled.history.get(task_id).attempts[0].pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: len(chronicled.history.get(task_id).attempts) == 2, timeout=WAIT)
    chronicled.app.control.revoke(task_id, terminate=True)
    until(lambda: state(chronicled, task_id) is HistoryState.REVOKED, timeout=WAIT)


def test_why_a_task_waited_is_written_down(chronicled):
    chronicled.start(pool="threads", concurrency=2)
    ids = [chronicled.send("alone", 0.5) for _ in range(2)]
    written(chronicled, 2, states=(HistoryState.SUCCEEDED,))
    attempts = [each for task_id in ids for each in chronicled.history.get(task_id).attempts]
    assert sorted(each.state for each in attempts) == ["retried", "succeeded", "succeeded"]
    (waited,) = [each.error for each in attempts if each.state == "retried"]
    assert waited == "HeldBack: alone waits: 1 at once, and 0 wait before it"


def test_without_a_database_the_history_says_so(chronicled):
    chronicled.app.conf.history_database_url = None
    with pytest.raises(HistoryUnavailable, match="history is off"):
        TaskHistory(chronicled.app).count()
    history = TaskHistory(chronicled.app, database_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(HistoryUnavailable, match="nobody@"):
        history.get("x")
