"""What servers answer, read without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import ValidationError

from core.completions import Answer
from infrastructure.completions.answers import InPieces, Piece, Whole
from infrastructure.completions.waits import wait_of

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def piece(text: str | None = None, *, finish: str | None = None, usage: dict[str, int] | None = None) -> Piece:
    choices = [] if usage is not None else [{"delta": {"content": text}, "finish_reason": finish}]
    return Piece.model_validate({"model": "parrot-1", "choices": choices, "usage": usage})


def test_an_answer_is_read_whatever_else_a_server_says():
    said = {"id": 1, "model": "parrot-1", "choices": [{"message": {"content": "Hi"}, "logprobs": None}], "usage": USAGE}
    assert Whole.model_validate({**said, "timings": {}}).answer() == Answer("Hi", "parrot-1", 1, 2, 3)


def test_pieces_make_the_same_answer():
    answer = InPieces()
    assert not answer.begun
    for each in (piece("H"), piece("i"), piece(None)):
        answer.add(each)
    assert answer.begun
    assert not answer.finished
    answer.add(piece(finish="stop"))
    assert answer.finished
    with pytest.raises(ValidationError, match="usage"):
        answer.whole()
    answer.add(piece(usage=USAGE))
    assert answer.whole().answer() == Answer("Hi", "parrot-1", 1, 2, 3)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("90", 90), ("0.5", 0.5), ("soon", None), ("", None), ("-5", None), ("0", None), ("nan", None), ("inf", None)],
)
def test_a_wait_is_a_number_of_seconds_or_nothing(said, seconds):
    assert wait_of({"retry-after": said}) == seconds
    assert wait_of({}) is None


def test_a_wait_may_end_at_a_moment():
    later, earlier = (datetime.now(UTC) + timedelta(hours=hours) for hours in (1, -1))
    wait = wait_of({"retry-after": format_datetime(later, usegmt=True)})
    assert wait is not None
    assert 3000 < wait <= 3600
    assert wait_of({"retry-after": format_datetime(earlier, usegmt=True)}) is None
