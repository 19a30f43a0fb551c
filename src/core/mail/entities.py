"""A letter, and what is left of it when it was sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from core.mail.errors import InvalidLetterError

__all__ = ["Letter", "MailReceipt", "Subject"]

Subject = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$", examples=["Your order"])]
"""One line: a line break would begin another header, of whoever wrote the text."""

_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter in plain text.

    Attributes:
        id: the same for the same letter, however often it is tried: a task gives its own id.
        to: addresses; each reader sees all of them.
        subject: one line.
        body: plain text.
    """

    id: str
    to: tuple[str, ...]
    subject: str
    body: str

    def __post_init__(self) -> None:
        """Refuse what could be read as headers.

        Raises:
            InvalidLetterError: nobody is to get it, or a line holds more than one.
        """
        if not self.to:
            msg = "a letter goes to at least one address"
            raise InvalidLetterError(msg)
        for name, line in (("subject", self.subject), *(("address", each) for each in self.to)):
            if _BREAKS.search(line):
                msg = f"the {name} of a letter is one line without control characters, not {line!r}"
                raise InvalidLetterError(msg)


@dataclass(frozen=True, slots=True)
class MailReceipt:
    """A letter that was handed over.

    Attributes:
        message_id: what its ``Message-ID`` says: the same for every attempt, so that copies are recognised.
        to: who gets it.
    """

    message_id: str
    to: tuple[str, ...]
