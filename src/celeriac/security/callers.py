"""Who asks for something to be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Caller", "Method"]


class Method(StrEnum):
    """How a caller showed who it is."""

    KEY = "key"
    TOKEN = "token"  # noqa: S105  no password
    OPEN = "open"
    """Not at all: development, with ``HTTP_AUTH=off``."""
    OTHER = "other"
    """By something of the program's own: a bot that knows its users, say."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody from outside, as far as it is known.

    Attributes:
        subject: who it is, for the record: ``key:3f2a...``, or what a token's issuer calls it.
        scopes: what it may do: permissions, ``reports:*`` for all that begin so, or ``*`` for everything.
        method: how it is known.
        name: what people call it.
        rate: how often it may ask, ``"600/m"``; ``None`` means as often as everybody.
    """

    subject: str
    scopes: frozenset[str]
    method: Method = Method.OTHER
    name: str = ""
    rate: str | None = None

    def may(self, permission: str) -> bool:
        """Whether its scopes cover a permission."""
        scopes = self.scopes
        if permission in scopes or "*" in scopes:
            return True
        parts = permission.split(":")
        return any(":".join([*parts[:count], "*"]) in scopes for count in range(1, len(parts)))
