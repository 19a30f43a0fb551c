"""What happens in a canvas when a task fails: which errors are seen where, and which callbacks are called."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import ChordError
from tests.faults.harness.waiting import until
from tests.kit.canvas import ExpectedError, chain, chord, group
from tests.kit.stage import Stage, stages

WAIT = 15
STAGES = stages("redis-lane")
SOME = stages("redis-prefork", "rabbitmq-lane", "rabbitmq-prefork")
pytestmark = pytest.mark.filterwarnings("ignore:task_allow_error_cb_on_chord_header")
on_lane = pytest.mark.parametrize("stage", STAGES, indirect=True)
everywhere = pytest.mark.parametrize("stage", STAGES + SOME, indirect=True)

Canvas = Callable[[SimpleNamespace], Any]

# Each of these fails, and its error is the task's own.
FAILING: dict[str, Canvas] = {
    "a task": lambda t: t.fails.s(),
    "the first of a chain": lambda t: t.fails.s() | t.add.s(1),
    "the last of a chain": lambda t: t.same.s(1) | t.fails.s(),
    "a member of a group": lambda t: group(t.same.s(1), t.fails.s()),
    "a chain in a group": lambda t: group(t.same.s(1), t.same.s(1) | t.fails.s()),
    "a header": lambda t: chord([t.same.s(1), t.fails.s()], t.total.s()),
    "a header of one": lambda t: chord([t.fails.s()], t.same.s()),
    "a body": lambda t: chord([t.same.s(1), t.same.s(2)], t.fails.s()),
    "a chain in a header": lambda t: chord([chain(t.same.s(1), t.fails.s(), t.same.s())], t.same.s()),
    "the end of a chain in a header": lambda t: chord([chain(t.same.s(1), t.fails.s())], t.same.s()),
    "a group in a header": lambda t: chord([group(t.same.s(1), t.fails.s())], t.same.s()),
    "a header with a chain for its body": lambda t: chain(
        group(t.add.si(1, 2), t.fails.si()), t.same.si(1) | t.same.s()
    ),
    "a header with a group for its body": lambda t: chain(group(t.add.si(1, 2), t.fails.si()), group(t.same.si(1))),
    "a header with a chord for its body": lambda t: chain(
        group(t.add.si(1, 2), t.fails.si()), chord([t.same.si(1)], t.same.si(2))
    ),
    "a chord in a chain": lambda t: t.same.s(1) | group(t.add.s(1), t.fails.s()) | t.total.s() | t.same.s(),
    "a group at the end of a chain": lambda t: t.add.s(1, 1) | t.add.s(1) | group(t.add.s(1), t.fails.s()),
    "what a task became": lambda t: t.becomes.si(other=t.fails.si()),
    "the chain that a task became": lambda t: t.becomes.si(other=t.same.si(1) | t.fails.s()) | t.same.s(),
}


@pytest.mark.parametrize("case", FAILING)
@on_lane
def test_an_error_reaches_who_waits(stage: Stage, case: str) -> None:
    result = FAILING[case](stage.t).apply_async()
    with pytest.raises((ExpectedError, ChordError), match=r"ExpectedError|^\d|as planned") as caught:
        result.get(timeout=WAIT)
    assert isinstance(caught.value, ExpectedError) or "ExpectedError" in str(caught.value)


@everywhere
def test_an_error_in_a_nested_chain_of_a_header_reaches_who_waits(stage: Stage) -> None:
    t = stage.t
    member = chain(t.fails.si(), group(t.same.si(2), t.same.si(3)), t.same.si(4))
    with pytest.raises((ExpectedError, ChordError)):
        chain(group(t.same.si(1), member), t.same.s()).apply_async().get(timeout=WAIT)
    with pytest.raises((ExpectedError, ChordError)):
        chain(chain(group(t.add.si(1, 1), t.fails.si()), t.same.s()), t.same.s()).apply_async().get(timeout=WAIT)


# What is called, and how often. ``{back}`` is a task that notes each of its calls.
CALLBACKS: dict[str, tuple[Callable[[SimpleNamespace, Any], Any], int]] = {
    "a task": (lambda t, back: _linked(t.same.s(1), back), 1),
    "a chain, after its last": (lambda t, back: _linked(t.same.s(1) | t.same.s(), back), 1),
    "an inner task of a chain": (lambda t, back: _linked(t.same.s(1), back) | t.same.s(), 1),
    "a group, once for the whole": (lambda t, back: _linked(group(t.same.si(1), t.same.si(2)), back), 1),
    "each of a group": (lambda t, back: group(_linked(t.same.si(1), back) for _ in range(10)), 10),
    "a chord, after its body": (lambda t, back: _linked(chord([t.same.s(1)], t.same.s()), back), 1),
    "what a task became": (lambda t, back: _linked(t.becomes.si(other=t.add.s(1, 2)), back), 1),
    "the chain that a task became": (
        lambda t, back: _linked(t.becomes.si(other=t.add.s(1, 2) | t.add.s(1)), back) | t.same.s(),
        1,
    ),
    "the chain that a task became, with a callback of its own": (
        lambda t, back: t.becomes.si(other=t.add.s(1, 2) | t.add.s(1), link=back) | t.same.s(),
        1,
    ),
    "a group with a member that became another": (
        lambda t, back: _linked(group(t.becomes.si(other=t.add.s(1, 2)), t.same.si(3)), back),
        1,
    ),
    "every member of a chain": (lambda t, back: chain(_linked(t.same.si(1), back) for _ in range(10)), 10),
}


@pytest.mark.parametrize("case", CALLBACKS)
@on_lane
def test_a_callback_is_called_as_often_as_celery_says(stage: Stage, case: str) -> None:
    key = uuid4().hex
    canvas, times = CALLBACKS[case]
    canvas(stage.t, stage.t.noted.si(1, key=key)).apply_async().get(timeout=WAIT)
    until(lambda: len(stage.noted(key)) >= times)
    stage.t.same.delay(0).get(timeout=WAIT)
    assert len(stage.noted(key)) == times


ERRBACKS: dict[str, tuple[Callable[[SimpleNamespace, Any], Any], int]] = {
    "a task": (lambda t, back: _on_error(t.fails.s(), back), 1),
    "a chain, whichever fails": (lambda t, back: _on_error(t.same.s(1) | t.fails.s() | t.same.s(), back), 1),
    "an inner task of a chain": (lambda t, back: t.same.s(1) | _on_error(t.fails.s(), back) | t.same.s(), 1),
    "a group, the first fails": (lambda t, back: _on_error(group(t.fails.s(), t.same.s(1)), back), 1),
    "a group, the last fails": (lambda t, back: _on_error(group(t.same.s(1), t.fails.s()), back), 1),
    "a group, several fail": (
        lambda t, back: _on_error(group(*(t.same.s(1) for _ in range(5)), *(t.fails.s() for _ in range(9))), back),
        9,
    ),
    "each of a group": (lambda t, back: group(_on_error(t.fails.si(), back) for _ in range(10)), 10),
    "a chord, its header fails": (lambda t, back: _on_error(chord([t.fails.s()], t.same.s()), back), 1),
    "a chord, its body fails": (lambda t, back: _on_error(chord([t.same.s(1)], t.fails.s()), back), 1),
    "a chord, a chain of its header fails": (
        lambda t, back: _on_error(chord([t.same.s(1) | t.fails.s() | t.same.s()], t.same.s()), back),
        1,
    ),
    "a chord, the end of a chain of its header fails": (
        lambda t, back: _on_error(chord([t.same.s(1) | t.fails.s()], t.same.s()), back),
        1,
    ),
    "what a task became": (lambda t, back: _on_error(t.becomes.si(other=t.fails.si()), back), 1),
    "the chain that a task became, with an errback of its own": (
        lambda t, back: t.becomes.si(other=t.same.si(1) | t.fails.s(), link_error=back) | t.same.s(),
        1,
    ),
    "a group with a member that became what fails": (
        lambda t, back: group(_on_error(t.becomes.si(other=t.fails.si()), back), t.same.s(1)),
        1,
    ),
}


@pytest.mark.parametrize("case", ERRBACKS)
@on_lane
def test_an_errback_is_called_as_often_as_celery_says(stage: Stage, case: str) -> None:
    key = uuid4().hex
    canvas, times = ERRBACKS[case]
    with pytest.raises((ExpectedError, ChordError)):
        canvas(stage.t, stage.t.noted.si(1, key=key)).apply_async().get(timeout=WAIT)
    until(lambda: len(stage.noted(key)) >= times)
    stage.t.same.delay(0).get(timeout=WAIT)
    assert len(stage.noted(key)) == times


@pytest.mark.parametrize("style", ["old_errback", "new_errback"])
@everywhere
def test_an_errback_is_told_which_task_failed(stage: Stage, style: str) -> None:
    t = stage.t
    errback = getattr(t, style)
    kind = style.removesuffix("_errback")
    result = t.fails.apply_async(link_error=errback.s())
    with pytest.raises(ExpectedError):
        result.get(timeout=WAIT)
    until(lambda: stage.noted(result.id) == [kind])

    failing = t.fails.s()
    task_id = failing.freeze().id
    with pytest.raises(ExpectedError):
        _on_error(group(failing, t.same.si(42)), errback.s()).apply_async().get(timeout=WAIT)
    until(lambda: stage.noted(task_id) == [kind])

    body = t.same.s()
    body_id = body.freeze().id
    with pytest.raises((ExpectedError, ChordError)):
        _on_error(chord([t.fails.s()], body), errback.s()).apply_async().get(timeout=WAIT)
    until(lambda: stage.noted(body_id) == [kind])


@everywhere
def test_an_errback_that_retries_is_run_to_its_end(stage: Stage) -> None:
    key = uuid4().hex
    with pytest.raises(ExpectedError):
        stage.t.fails.apply_async(link_error=stage.t.gives_up.si(key)).get(timeout=WAIT)
    until(lambda: stage.noted(key) == ["0", "1", "2"])


@everywhere
def test_an_errback_with_a_countdown_waits(stage: Stage) -> None:
    key = uuid4().hex
    errback = stage.t.noted.si("late", key=key).set(countdown=0.3)
    with pytest.raises(ExpectedError):
        chain(stage.t.fails.s(), stage.t.same.s()).apply_async(link_error=errback).get(timeout=WAIT)
    until(lambda: stage.noted(key) == ["late"])


@everywhere
def test_the_rest_of_a_chain_is_not_run(stage: Stage) -> None:
    key = uuid4().hex
    result = (stage.t.fails.s() | stage.t.noted.si(1, key=key)).apply_async()
    with pytest.raises(ExpectedError):
        result.get(timeout=WAIT)
    assert result.parent.state == "FAILURE"
    stage.t.same.delay(0).get(timeout=WAIT)
    assert stage.noted(key) == []


@on_lane
def test_with_its_flag_the_header_has_the_errback_too(stage: Stage) -> None:
    key = uuid4().hex
    canvas = chord([stage.t.fails.s(), stage.t.fails.s()], stage.t.same.s(), app=stage.app)
    stage.app.conf.task_allow_error_cb_on_chord_header = True
    try:
        _on_error(canvas, stage.t.noted.si(1, key=key))
    finally:
        stage.app.conf.task_allow_error_cb_on_chord_header = False
    with pytest.raises((ExpectedError, ChordError)):
        canvas.apply_async().get(timeout=WAIT)
    until(lambda: len(stage.noted(key)) == 3)


@everywhere
def test_a_group_is_ready_though_a_member_failed(stage: Stage) -> None:
    result = group(stage.t.fails.s(), stage.t.same.s(1)).apply_async()
    with pytest.raises(ExpectedError):
        result.get(timeout=WAIT)
    until(result.ready)
    assert result.failed()
    assert sorted(child.state for child in result) == ["FAILURE", "SUCCESS"]


def _linked(canvas: Any, callback: Any) -> Any:
    canvas.link(callback)
    return canvas


def _on_error(canvas: Any, errback: Any) -> Any:
    canvas.link_error(errback)
    return canvas
