"""The frame around a task: gates are passed in their order and left in the other, and an error leaves none entered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from celeriac.flow.frame import Attempt, Ending, Flow, Gate, Posting


class Noting(Gate):
    """Writes down what it hears."""

    publishes = True

    def __init__(self, name: str, heard: list[str], error: Exception | None = None, stands: str | None = None) -> None:
        self.name = name
        self.heard = heard
        self.error = error
        self.stands = stands

    @override
    def before_run(self, attempt: Attempt) -> None:
        if self.error is not None:
            raise self.error
        self.heard.append(f"into {self.name}")

    @override
    def after_run(self, attempt: Attempt, ending: Ending) -> None:
        self.heard.append(f"{ending.value} of {self.name}")
        if self.name == "clumsy":
            raise RuntimeError

    @override
    def before_publish(self, posting: Posting) -> str | None:
        if self.error is not None:
            raise self.error
        self.heard.append(f"past {self.name}")
        return self.stands

    @override
    def unpublished(self, posting: Posting) -> None:
        self.heard.append(f"back to {self.name}")


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def attempt() -> Attempt:
    return Attempt(SimpleNamespace(request=SimpleNamespace(id="1", headers=None)), [], {})


@pytest.fixture
def posting() -> Posting:
    return Posting(None, [], {}, {})


def test_gates_are_left_in_the_other_order(heard, attempt):
    flow = Flow([Noting("a", heard), Noting("b", heard)])
    flow.enter(attempt)
    flow.leave(attempt, Ending.DONE)
    flow.leave(attempt, Ending.FAILED)  # once is enough
    assert heard == ["into a", "into b", "done of b", "done of a"]


def test_who_is_stopped_at_a_gate_is_inside_of_none(heard, attempt):
    flow = Flow([Noting("a", heard), Noting("b", heard, KeyError()), Noting("c", heard)])
    with pytest.raises(KeyError):
        flow.enter(attempt)
    assert heard == ["into a", "left of a"]
    assert not attempt.entered


def test_a_gate_that_fails_at_the_end_keeps_no_other_from_ending(heard, attempt):
    flow = Flow([Noting("a", heard), Noting("clumsy", heard)])
    flow.enter(attempt)
    flow.leave(attempt, Ending.AGAIN)
    assert heard[-2:] == ["again of clumsy", "again of a"]


def test_a_call_for_which_another_stands_is_taken_back_where_it_passed(heard, posting):
    flow = Flow([Noting("a", heard), Noting("b", heard, stands="other"), Noting("c", heard)])
    assert flow.before_publish(posting) == "other"
    assert heard == ["past a", "past b", "back to a"]


def test_a_call_that_a_gate_refuses_is_taken_back_where_it_passed(heard, posting):
    flow = Flow([Noting("a", heard), Noting("b", heard, KeyError())])
    with pytest.raises(KeyError):
        flow.before_publish(posting)
    assert heard == ["past a", "back to a"]


def test_a_call_has_an_id_before_its_first_gate(heard, posting):
    Flow([Noting("a", heard)]).before_publish(posting)
    assert posting.task_id


def test_headers_are_remembered_for_the_attempts_to_come(attempt):
    attempt.remember("a", 1)
    attempt.remember("b", 2)
    attempt.forget("a")
    said: Any = attempt.task.request.headers
    assert said == {"b": 2}
