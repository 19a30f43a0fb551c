"""Errors, retries and states, on each pool."""

from __future__ import annotations

import re
from functools import partial

import pytest
from pydantic import SecretStr
from tests.faults.harness.waiting import until
from tests.kit.service import BetterError, BrokenError

from celeriac import TaskState
from celeriac.exceptions import ResultTimeout, TaskRevoked
from celeriac.testing.worker import WorkerProcess

WAIT = 20


def in_log(worker: WorkerProcess, line: re.Pattern[str]) -> re.Match[str] | None:
    return line.search(worker.log)


@pytest.mark.proves("S000-31")
def test_what_a_task_raises_is_raised_where_its_result_is_read(registry):
    for result in (registry.fail.delay("why"), registry.fail_async.delay("why")):
        with pytest.raises(BrokenError, match="why"):
            result.get(timeout=WAIT)
        assert result.state is TaskState.FAILURE


@pytest.mark.proves("S003-15")
def test_a_controller_handles_exceptions_in_one_place(registry):
    assert registry.polished.delay(rescue=True).get(timeout=WAIT) == "rescued"
    with pytest.raises(BetterError, match="lost"):
        registry.polished.delay(rescue=False).get(timeout=WAIT)


@pytest.mark.proves("S000-29")
def test_three_retries_are_four_executions_and_then_failure(registry):
    result = registry.flaky.delay(failures=99)
    with pytest.raises(BrokenError, match=r"^4$"):
        result.get(timeout=WAIT)
    assert result.state is TaskState.FAILURE


def test_a_task_that_succeeds_in_the_end_has_succeeded(registry):
    assert registry.flaky.delay(failures=2).get(timeout=WAIT) == 3


def test_a_task_asks_for_its_own_retries(registry):
    assert registry.asks.delay(2).get(timeout=WAIT) == 3
    assert registry.asks_async.delay(1).get(timeout=WAIT) == 2
    with pytest.raises(BrokenError, match="asked too often"):
        registry.asks.delay(9).get(timeout=WAIT)


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("flaky.linear", [60, 120, 180]),
        pytest.param("flaky.doubling", [1, 2, 4], marks=pytest.mark.proves("S004-15")),
        pytest.param("flaky.default", [60, 60, 60], marks=pytest.mark.proves("S002-10")),
    ],
)
@pytest.mark.parametrize("pool", ["solo"], indirect=True)
def test_waits_between_attempts_are_what_the_policy_says(registry, shared, worker, name, waits):
    # The message of each attempt, as the one before would have sent it: nobody has to wait for the minutes.
    for retries, wait in enumerate(waits):
        attempt = shared.app.tasks[name].apply_async((), retries=retries)
        line = re.compile(rf"{re.escape(name)}\[{attempt.id}\] retry: Retry in (\S+)s")
        found = until(partial(in_log, worker, line))
        assert float(found.group(1)) == wait
        attempt.revoke()


@pytest.mark.proves("H-1", "S002-10")
@pytest.mark.parametrize("pool", ["solo"], indirect=True)
def test_without_a_number_of_its_own_a_task_is_retried_five_times(registry, shared, worker):
    sixth = shared.app.tasks["flaky.default"].apply_async((), retries=5)
    with pytest.raises(BrokenError):
        sixth.get(timeout=WAIT)
    assert sixth.state == "FAILURE"


def test_a_secret_stays_masked_over_a_retry(registry, worker):
    with pytest.raises(BrokenError, match=r"^10$"):
        registry.login_twice.delay(SecretStr("geheim-123")).get(timeout=WAIT)
    assert "geheim-123" not in worker.log


@pytest.mark.proves("S004-9", "S000-31")
def test_all_seven_states_are_seen(registry, shared):
    from celeriac import TaskResult

    unknown = TaskResult("ping", shared.app.AsyncResult("nobody-knows"), str)
    assert unknown.state is TaskState.PENDING

    sleeping = registry.sleep.delay(1)
    until(lambda: sleeping.state is TaskState.STARTED)
    assert sleeping.get(timeout=WAIT) == 1
    assert sleeping.state is TaskState.SUCCESS

    working = registry.process.delay([1], pause=1)
    until(lambda: working.state is TaskState.PROGRESS)
    working.get(timeout=WAIT)

    failing = registry.flaky_linear.delay()
    until(lambda: failing.state is TaskState.RETRY)
    failing.revoke()

    failed = registry.fail.delay("x")
    until(lambda: failed.state is TaskState.FAILURE)

    revoked = registry.ping.apply_async(countdown=1)
    revoked.revoke()
    until(lambda: revoked.state is TaskState.REVOKED)


@pytest.mark.proves("S004-17")
def test_a_revoked_task_never_runs(registry, tmp_path):
    path = tmp_path / "ran"
    result = registry.record.apply_async((path, "ran"), countdown=1)
    result.revoke()
    with pytest.raises(TaskRevoked) as raised:
        result.get(timeout=WAIT)
    assert str(raised.value) == f"record[{result.id}] was revoked"
    assert not path.exists()


@pytest.mark.proves("S004-17")
@pytest.mark.parametrize("pool", ["prefork"], indirect=True)
def test_a_running_task_is_stopped(registry):
    result = registry.sleep.delay(60)
    until(lambda: result.state is TaskState.STARTED)
    result.revoke(terminate=True)
    with pytest.raises(TaskRevoked):
        result.get(timeout=WAIT)
    assert registry.ping.delay().get(timeout=WAIT) == {"result": "pong"}


@pytest.mark.parametrize("pool", ["threads"], indirect=True)
def test_a_result_that_is_not_there_yet_says_so(registry):
    result = registry.sleep.delay(3)
    until(lambda: result.state is TaskState.STARTED)
    with pytest.raises(ResultTimeout) as raised:
        result.get(timeout=0.1)
    assert str(raised.value) == f"sleep[{result.id}] has no result after 0.1 s; its state is STARTED"
    assert result.get(timeout=WAIT) == 3
