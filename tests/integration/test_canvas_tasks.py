"""What single tasks do in Celery's hands: retries, rejections, times, priorities, revocation, stamps, ids."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import celery.exceptions
import pytest
from celery.result import AsyncResult, GroupResult, ResultSet
from tests.faults.harness.waiting import until
from tests.kit.canvas import ExpectedError, StampingVisitor, chain, chord, group
from tests.kit.stage import Stage, stages

WAIT = 15
STAGES = stages("redis-lane", "rabbitmq-lane")
pytestmark = [
    pytest.mark.parametrize("stage", STAGES, indirect=True),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),  # by Celery, to save a group
]


# retries


def test_a_retry_keeps_the_id_and_counts(stage: Stage) -> None:
    result = stage.t.persists.delay(3)
    assert result.get(timeout=WAIT)["retries"] == 3
    assert result.state == "SUCCESS"


def test_a_retry_waits_for_its_countdown(stage: Stage) -> None:
    began = time.monotonic()
    assert stage.t.persists.delay(1, {"countdown": 0.5}).get(timeout=WAIT)["retries"] == 1
    assert time.monotonic() - began >= 0.5


def test_a_retry_keeps_priority_headers_and_stamps(stage: Stage) -> None:
    sig = stage.t.persists.si(2)
    sig.stamp(stamp="42")
    result = sig.apply_async(priority=3, headers={"x_custom": "kept"})
    value = result.get(timeout=WAIT)
    assert (value["retries"], value["priority"]) == (2, 3)
    assert value["headers"] == {"x_custom": "kept"}
    assert value["stamps"] == {"stamp": "42"}


def test_retries_end_with_the_error_that_was_given(stage: Stage) -> None:
    key = uuid4().hex
    with pytest.raises(ExpectedError, match="given up"):
        stage.t.gives_up.delay(key).get(timeout=WAIT)
    assert stage.noted(key) == ["0", "1", "2"]


def test_retries_end_with_celerys_error_where_none_was_given(stage: Stage) -> None:
    with pytest.raises(celery.exceptions.MaxRetriesExceededError):
        stage.t.persists.delay(3, {"max_retries": 1}).get(timeout=WAIT)


def test_a_class_with_autoretry_retries(stage: Stage) -> None:
    result = stage.app.tasks["c.persistent"].delay(2)
    assert result.get(timeout=WAIT) == 2


def test_retries_inside_a_canvas_hold_the_others_up_and_nothing_else(stage: Stage) -> None:
    t = stage.t
    retried: Any = t.persists.si(2, {"countdown": 0.05})
    assert (t.same.s(1) | retried | t.same.s()).apply_async().get(timeout=WAIT)["retries"] == 2
    values = chord([retried, t.same.s(1), retried], t.same.s()).apply_async().get(timeout=WAIT)
    assert [value if value == 1 else value["retries"] for value in values] == [2, 1, 2]
    assert group(t.same.s(1), retried).apply_async().get(timeout=WAIT)[1]["retries"] == 2


# outcomes


def test_states_and_failures_are_what_celery_shows(stage: Stage) -> None:
    done = stage.t.add.delay(1, 2)
    assert done.get(timeout=WAIT) == 3
    assert (done.status, done.ready(), done.successful(), done.failed()) == ("SUCCESS", True, True, False)
    failed = stage.t.fails.delay("one")
    with pytest.raises(ExpectedError) as caught:
        failed.get(timeout=WAIT)
    assert caught.value.args == (1,)
    assert (failed.status, failed.ready(), failed.successful(), failed.failed()) == ("FAILURE", True, False, True)
    assert "ExpectedError" in failed.traceback


def test_wrong_arguments_are_refused_or_fail(stage: Stage) -> None:
    with pytest.raises(TypeError):
        stage.t.add.delay(1)
    with pytest.raises(TypeError):
        stage.app.send_task("c.add", (1,)).get(timeout=WAIT)


def test_an_error_that_cannot_be_pickled_still_fails_the_task(stage: Stage) -> None:
    result = stage.t.unpicklable.delay()
    with pytest.raises(Exception, match="foo"):
        result.get(timeout=WAIT)
    assert result.status == "FAILURE"


def test_a_result_that_is_ignored_is_nowhere(stage: Stage) -> None:
    key = uuid4().hex
    result = stage.t.silent.delay(key)
    assert result.get(timeout=WAIT) is None
    until(lambda: stage.noted(key))
    told = stage.t.add.apply_async((1, 2), ignore_result=True)
    assert told.get(timeout=WAIT) is None
    stage.t.same.delay(0).get(timeout=WAIT)
    assert not stage.redis.exists(f"celery-task-meta-{result.id}", f"celery-task-meta-{told.id}")


def test_ignored_results_do_not_stop_a_chain(stage: Stage) -> None:
    key = uuid4().hex
    assert (stage.t.silent.s(key) | stage.t.same.s()).apply_async().get(timeout=WAIT) == "nobody reads this"


def test_a_task_that_ignores_itself_keeps_the_state_it_set(stage: Stage) -> None:
    assert stage.t.ignores.delay().get(timeout=WAIT) == "by hand"


def test_rejected_for_good_is_a_failure(stage: Stage) -> None:
    result = stage.t.rejects.delay()
    with pytest.raises(celery.exceptions.Reject):
        result.get(timeout=WAIT)
    assert result.status == "FAILURE"


def test_rejected_to_be_delivered_again_is_delivered_again(stage: Stage) -> None:
    assert stage.t.rejects_once.delay().get(timeout=WAIT) == "second time"


def test_who_waits_too_long_is_told(stage: Stage) -> None:
    result = stage.t.sleeps.delay(2)
    with pytest.raises(celery.exceptions.TimeoutError):
        result.get(timeout=0.5)
    assert result.get(timeout=WAIT) == 2


# times and priorities


@pytest.mark.parametrize("form", ["countdown", "eta"])
def test_a_task_waits_for_its_time(stage: Stage, form: str) -> None:
    began = time.time()
    when = {"countdown": 0.7} if form == "countdown" else {"eta": datetime.now(UTC) + timedelta(seconds=0.7)}
    result = stage.t.same.apply_async((1,), **when)
    assert result.status == "PENDING"
    assert result.get(timeout=WAIT) == 1
    assert time.time() - began >= 0.7


@pytest.mark.parametrize("form", ["seconds", "moment"])
def test_a_task_that_expired_is_revoked(stage: Stage, form: str) -> None:
    fillers = [stage.t.sleeps.delay(0.5) for _ in range(4)]
    expires: Any = 0.3 if form == "seconds" else datetime.now(UTC) + timedelta(seconds=0.3)
    result = stage.t.add.apply_async((1, 1), expires=expires)
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=WAIT)
    assert (result.status, result.successful(), result.failed()) == ("REVOKED", False, False)
    for filler in fillers:
        filler.get(timeout=WAIT)


def test_a_priority_arrives_and_is_handed_on(stage: Stage) -> None:
    t = stage.t
    assert t.about.apply_async(priority=3).get(timeout=WAIT)["priority"] == 3
    last = (t.about.si().set(priority=3) | t.about.si().set(priority=6)).apply_async()
    assert last.get(timeout=WAIT)["priority"] == 6
    assert last.parent.get(timeout=WAIT)["priority"] == 3


def test_limits_of_a_call_win_over_those_of_the_task(stage: Stage) -> None:
    hard, soft = stage.t.about.apply_async(time_limit=50, soft_time_limit=40).get(timeout=WAIT)["timelimit"]
    assert (hard, soft) == (50, 40)


# revocation


def test_a_revoked_task_is_not_run(stage: Stage) -> None:
    fillers = [stage.t.sleeps.delay(0.5) for _ in range(4)]
    key = uuid4().hex
    result = stage.t.noted.delay(1, key=key)
    result.revoke()
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=WAIT)
    assert result.status == "REVOKED"
    for filler in fillers:
        filler.get(timeout=WAIT)
    assert stage.noted(key) == []


def test_tasks_are_revoked_by_their_stamps(stage: Stage) -> None:
    wanted = uuid4().hex
    sig = stage.t.add.si(1, 1)
    sig.stamp(monitoring_id=wanted)
    result = sig.freeze()
    result.revoke_by_stamped_headers(headers={"monitoring_id": [wanted]}, wait=True, timeout=5)
    sig.apply_async()
    with pytest.raises(celery.exceptions.TaskRevokedError):
        result.get(timeout=WAIT)
    other = stage.t.add.si(1, 1)
    other.stamp(monitoring_id=uuid4().hex)
    assert other.apply_async().get(timeout=WAIT) == 2


@pytest.mark.parametrize("name", ["group", "header", "chain"])
def test_one_revoked_member_revokes_who_waits_for_the_whole(stage: Stage, name: str) -> None:
    t = stage.t
    wanted = uuid4().hex
    stamped = t.same.si(1)
    stamped.stamp(monitoring_id=wanted)
    control: Any = stage.app.control
    control.revoke_by_stamped_headers({"monitoring_id": [wanted]}, reply=True, timeout=5, limit=1)
    canvas = {
        "group": group(t.same.si(1), stamped),
        "header": chord([t.same.si(1), stamped], t.same.si(2)),
        "chain": chain(t.same.si(1), stamped),
    }[name]
    with pytest.raises((celery.exceptions.TaskRevokedError, celery.exceptions.ChordError)):
        canvas.apply_async().get(timeout=WAIT)


# stamps


class Stamps(StampingVisitor):  # type: ignore[misc]
    """Stamps every task with one header, and groups and chords with another."""

    def __init__(self, value: str) -> None:
        self.value = value

    def on_signature(self, sig: Any, **headers: Any) -> dict[str, Any]:
        return {"on_signature": self.value}

    def on_group_start(self, group: Any, **headers: Any) -> dict[str, Any]:
        return {"in_group": self.value, "stamped_headers": ["in_group"]}


def test_every_task_of_a_canvas_is_stamped(stage: Stage) -> None:
    value = uuid4().hex
    t = stage.t
    canvas = chain(t.about.si(), group(t.about.si(), t.about.si()), t.same.s())
    canvas.stamp(visitor=Stamps(value))
    result = canvas.apply_async()
    members = result.get(timeout=WAIT)
    assert all(value in member["stamps"]["on_signature"] for member in members)
    assert all("in_group" in member["stamped_headers"] for member in members)


def test_links_of_a_stamped_task_are_stamped(stage: Stage) -> None:
    sig = stage.t.same.si(1)
    sig.link(stage.t.about.si())
    sig.stamp(stamp="42")
    result = sig.apply_async()
    assert result.get(timeout=WAIT) == 1
    until(lambda: result.children)
    assert result.children[0].get(timeout=WAIT)["stamps"]["stamp"] == "42"


def test_a_stamp_leaves_the_options_alone(stage: Stage) -> None:
    sig = stage.t.about.si()
    sig.set(priority=6)
    sig.stamp(stamp="42")
    about = sig.apply_async().get(timeout=WAIT)
    assert (about["priority"], about["routing_key"]) == (6, "default")


# who is whose parent


def test_ids_of_roots_and_parents_in_a_chain(stage: Stage) -> None:
    t = stage.t
    result = chain(t.ids.si(n) for n in range(5)).apply_async()
    result.get(timeout=WAIT)
    steps = [result]
    while steps[-1].parent is not None:
        steps.append(steps[-1].parent)
    steps.reverse()
    for number, step in enumerate(steps):
        root, parent, said = step.get(timeout=WAIT)
        assert (root, said) == (steps[0].id, number)
        assert parent == (steps[number - 1].id if number else None)


def test_ids_of_roots_and_parents_in_a_group(stage: Stage) -> None:
    t = stage.t
    result = (t.ids.si(1) | t.ids.si(2) | group(t.ids.si(n) for n in range(3, 6))).apply_async()
    assert isinstance(result, GroupResult)
    values = result.get(timeout=WAIT)
    second: Any = result.parent
    assert all(value[:2] == [second.parent.id, second.id] for value in values)


def test_ids_of_roots_and_parents_in_a_chord(stage: Stage) -> None:
    t = stage.t
    root = t.ids.si(1)
    root_id = root.freeze().id
    canvas = root | t.ids.si(2) | group(t.ids.si(n) for n in range(3, 9)) | t.collect_ids.s(9) | t.ids.si(10)
    result = canvas.apply_async()
    assert result.get(timeout=WAIT) == [root_id, result.parent.id, 10]
    header, (body_root, body_parent, said) = result.parent.get(timeout=WAIT)
    members = result.parent.parent
    assert (said, body_root) == (9, root_id)
    assert body_parent in {member.id for member in members.results}
    assert all(member[:2] == [root_id, members.parent.id] for member in header)
    assert members.parent.get(timeout=WAIT) == [root_id, root_id, 2]


def test_a_task_that_starts_others_does_not_wait_for_them(stage: Stage) -> None:
    inner = stage.t.starts_chain.delay().get(timeout=WAIT)
    assert AsyncResult(inner, app=stage.app).get(timeout=WAIT) == 7


# sets of results


def test_sets_and_saved_groups_of_results(stage: Stage) -> None:
    t = stage.t
    many = ResultSet([t.add.delay(n, n) for n in range(5)], app=stage.app)
    assert many.get(timeout=WAIT) == [0, 2, 4, 6, 8]
    added = ResultSet([], app=stage.app)
    added.add(t.add.delay(1, 1))
    added.add(t.add.delay(2, 2))
    assert added.get(timeout=WAIT) == [2, 4]
    with pytest.raises(ExpectedError):
        ResultSet([t.add.delay(1, 1), t.fails.delay()], app=stage.app).get(timeout=WAIT)
    running = group(t.add.s(1, 1), t.add.s(2, 2)).apply_async()
    running.save(backend=stage.app.backend)
    restored: Any = GroupResult.restore(running.id, app=stage.app, backend=stage.app.backend)
    assert restored.get(timeout=WAIT) == [2, 4]
    assert [child.id for child in restored.results] == [child.id for child in running.results]


def test_several_threads_call_and_wait_at_once(stage: Stage) -> None:
    with ThreadPoolExecutor(8) as threads:
        values = list(threads.map(lambda n: stage.t.add.delay(n, n).get(timeout=WAIT), range(40)))
    assert values == [2 * n for n in range(40)]


def test_results_are_forgotten_when_asked(stage: Stage) -> None:
    result = stage.t.add.delay(1, 1)
    assert result.get(timeout=WAIT) == 2
    result.forget()
    assert AsyncResult(result.id, app=stage.app).status == "PENDING"
