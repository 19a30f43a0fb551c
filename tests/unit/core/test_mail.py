"""Writing letters, without a server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
import structlog
from pydantic import TypeAdapter, ValidationError
from structlog.testing import capture_logs

from core.errors import RefusedError
from core.mail import (
    InvalidLetterError,
    Letter,
    MailError,
    MailReceipt,
    MailServerUnavailableError,
    NoAddressError,
    Subject,
)
from core.mail.service import MailService


@dataclass
class Pigeons:
    """A way to send letters."""

    error: Exception | None = None
    letters: list[Letter] = field(default_factory=list[Letter])

    async def send(self, letter: Letter) -> MailReceipt:
        if self.error is not None:
            raise self.error
        self.letters.append(letter)
        return MailReceipt(f"<{letter.id}@loft>", letter.to)


class Book:
    """Knows one user."""

    async def address_of(self, user_id: int) -> str:
        if user_id != 7:
            raise NoAddressError(str(user_id))
        return "seven@example.org"


@pytest.fixture
def pigeons() -> Pigeons:
    return Pigeons()


@pytest.fixture
def mail(pigeons: Pigeons) -> MailService:
    return MailService(pigeons, Book())


@pytest.fixture
def lines(own_logging, monkeypatch):
    monkeypatch.setattr("core.mail.service.logger", structlog.get_logger())  # one that was used keeps its configuration
    with capture_logs() as lines:
        yield lines


def test_a_letter_is_sent_as_it_was_said(mail, pigeons):
    receipt = asyncio.run(mail.send("id", "a@example.org", "Hello", "Body"))
    assert receipt == MailReceipt("<id@loft>", ("a@example.org",))
    assert pigeons.letters == [Letter("id", ("a@example.org",), "Hello", "Body")]


@pytest.mark.parametrize(
    "line", ["a\nBcc: all@example.org", "a\r\n\r\nbody", "\x00", "tab\there", "a\x85b", "a\u2028b", "a\u2029b"]
)
def test_nothing_in_a_line_begins_another(line):
    with pytest.raises(InvalidLetterError, match="is one line"):
        Letter("id", ("a@example.org",), line, "body")
    with pytest.raises(InvalidLetterError, match="is one line"):
        Letter("id", ("a@example.org", line), "subject", "body")
    with pytest.raises(ValidationError):
        TypeAdapter(Subject).validate_python(line)


def test_a_letter_to_nobody_is_none():
    with pytest.raises(InvalidLetterError, match="at least one address"):
        Letter("id", (), "subject", "body")


@pytest.mark.proves("S002-13")
def test_a_welcome_is_told_in_the_log(mail, pigeons, lines):
    asyncio.run(mail.send_welcome("id", 7, "a@example.org"))
    assert lines == [
        {"event": "Sending welcome email", "log_level": "info", "user_id": 7, "email": "a@example.org"},
        {"event": "Welcome email sent", "log_level": "info", "user_id": 7},
    ]
    (letter,) = pigeons.letters
    assert (letter.id, letter.to, letter.subject) == ("id", ("a@example.org",), "Welcome!")


@pytest.mark.proves("S002-13")
def test_a_welcome_that_failed_is_told_in_the_log_and_raised(mail, pigeons, lines):
    pigeons.error = MailServerUnavailableError("it rains")
    with pytest.raises(MailError, match="it rains"):
        asyncio.run(mail.send_welcome("id", 7, "a@example.org"))
    assert [line["event"] for line in lines] == ["Sending welcome email", "Failed to send welcome email"]
    assert lines[1] == {
        "event": "Failed to send welcome email",
        "log_level": "error",
        "user_id": 7,
        "error": "it rains",
    }


@pytest.mark.proves("S002-14")
def test_a_notification_goes_to_the_address_that_the_user_has(mail, pigeons):
    asyncio.run(mail.send_notification("id", 7, "News", "Body"))
    assert pigeons.letters == [Letter("id", ("seven@example.org",), "News", "Body")]


def test_a_notification_for_nobody_is_refused_for_good(mail, pigeons):
    with pytest.raises(NoAddressError) as refused:
        asyncio.run(mail.send_notification("id", 8, "News", "Body"))
    assert isinstance(refused.value, RefusedError)
    assert pigeons.letters == []
