"""Letters as mail servers take them."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

import idna

from core.mail import Letter, LetterRefusedError

__all__ = ["ascii_domain", "message_id_of", "message_of"]

# Not every server on the way takes bytes beyond ASCII in a body.
_POLICY: Final = SMTP.clone(cte_type="7bit")
_ATOMS: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def message_id_of(letter: Letter, sender: str) -> str:
    """The ``Message-ID`` of a letter: made of the letter's id, so that every attempt has the same."""
    plain = _ATOMS.fullmatch(letter.id)
    left = letter.id if plain else hashlib.sha256(letter.id.encode()).hexdigest()
    return f"<{left}@{ascii_domain(sender).rpartition('@')[2]}>"


def message_of(letter: Letter, sender: str, *, utf8: bool = False) -> bytes:
    """A letter with its headers.

    Args:
        letter: the letter.
        sender: the address that it comes from.
        utf8: whether addresses beyond ASCII stand as they are, for servers that know ``SMTPUTF8``.
    """
    message = EmailMessage(_POLICY.clone(utf8=utf8))
    message["From"] = ascii_domain(sender)
    message["To"] = ", ".join(map(ascii_domain, letter.to))
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = message_id_of(letter, sender)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: whoever is away need not tell us
    message.set_content(letter.body)
    return message.as_bytes()


def ascii_domain(address: str) -> str:
    """The address with its domain as DNS has it; what stands before the @ may still be beyond ASCII.

    Raises:
        LetterRefusedError: no domain can have this name.
    """
    name, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{name}{at}{idna.encode(domain, uts46=True).decode()}"
    except idna.IDNAError as error:
        msg = f"{address} is no address: {error}"
        raise LetterRefusedError(msg) from error
