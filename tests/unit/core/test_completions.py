"""Requests to a language model, without one and without a database."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import pytest
import structlog
from structlog.testing import capture_logs

from core.completions import Answer, Completion, CompletionUserError
from core.completions.errors import InvalidRequestError, ProviderUnavailableError, RequestConflictError
from core.completions.service import CompletionService

ANSWER = Answer("Hi", "parrot-1", 2, 1, 3)


class Desk:
    """Model, records and transaction at once."""

    def __init__(self) -> None:
        self.records: dict[str, Completion] = {}
        self.asked: list[str] = []
        self.open = False
        self.fails: BaseException | None = None

    async def complete(self, prompt: str) -> Answer:
        assert not self.open, "a transaction is open while the model is asked"
        self.asked.append(prompt)
        if self.fails is not None:
            raise self.fails
        return ANSWER

    async def find(self, request_id: str) -> Completion | None:
        return self.records.get(request_id)

    async def knows_user(self, user_id: int) -> bool:
        return user_id == 7

    async def add(self, completion: Completion) -> Completion:
        assert self.open
        return self.records.setdefault(completion.request_id, completion)

    async def __aenter__(self) -> Self:
        self.open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open = False


@pytest.fixture
def desk() -> Desk:
    return Desk()


def process(desk: Desk, request_id: str = "r1", prompt: str = "Hello there", user_id: int = 7) -> Completion:
    return asyncio.run(CompletionService(desk, desk, desk).process(request_id, prompt, user_id))


def test_the_answer_is_kept_and_returned(desk: Desk) -> None:
    completion = process(desk)
    assert completion.answer == ANSWER
    assert desk.records == {"r1": completion}


def test_a_request_that_was_answered_is_not_asked_again(desk: Desk) -> None:
    assert process(desk) == process(desk)
    assert desk.asked == ["Hello there"]


@pytest.mark.parametrize("other", [{"prompt": "Something else"}, {"user_id": 8}])
def test_an_id_stands_for_one_request(desk: Desk, other: dict[str, Any]) -> None:
    process(desk)
    with pytest.raises(RequestConflictError, match="request 'r1' was made before"):
        process(desk, **other)
    assert len(desk.asked) == 1


def test_of_two_at_once_both_return_what_the_first_kept(desk: Desk) -> None:
    first = Completion("r1", 7, "Hello there", Answer("I was first", "parrot-1", 2, 3, 5), None)  # type: ignore[arg-type]

    class Meanwhile(Desk):
        async def complete(self, prompt: str) -> Answer:
            self.records["r1"] = first
            return await super().complete(prompt)

    assert process(Meanwhile()) == first


def test_an_unknown_user_costs_nothing(desk: Desk) -> None:
    with pytest.raises(CompletionUserError, match="user 8 does not exist"):
        process(desk, user_id=8)
    assert not desk.asked


@pytest.mark.parametrize(
    ("request_id", "prompt", "problem"),
    [
        ("", "Hello", "has 1 to 255 characters, not 0"),
        ("r" * 256, "Hello", "has 1 to 255 characters, not 256"),
        ("r1", " \n", "the prompt of request 'r1' is empty"),
        ("r1", "a\0b", "a character of code 0"),
        ("r\x001", "Hello", "a character of code 0"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_it_costs_anything(
    desk: Desk, request_id: str, prompt: str, problem: str
) -> None:
    with pytest.raises(InvalidRequestError, match=problem):
        process(desk, request_id, prompt)
    assert not desk.asked


@pytest.mark.parametrize(
    ("error", "said"), [(ProviderUnavailableError("busy"), "busy"), (asyncio.CancelledError(), "CancelledError")]
)
@pytest.mark.usefixtures("own_logging")
@pytest.mark.proves("S002-16")
def test_it_says_what_it_does(desk: Desk, error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.completions.service.logger", structlog.get_logger())
    with capture_logs() as lines:
        process(desk)
    assert lines == [
        {"event": "Processing AI completion", "log_level": "info", "request_id": "r1"},
        {"event": "AI completion processed", "log_level": "info", "request_id": "r1", "tokens": 3},
    ]
    desk.fails = error
    with capture_logs() as lines, pytest.raises(type(error)):
        process(desk, "r2")
    assert lines == [
        {"event": "Processing AI completion", "log_level": "info", "request_id": "r2"},
        {"event": "AI completion failed", "log_level": "error", "request_id": "r2", "error": said},
    ]
    assert "r2" not in desk.records
