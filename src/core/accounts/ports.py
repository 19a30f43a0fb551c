"""What accounts need from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from pydantic import JsonValue

from core.accounts.entities import User

__all__ = ["Activities", "Deed", "FollowUps", "Users"]

Deed = tuple[str, Mapping[str, JsonValue]]
"""What kind of thing was done, such as ``"logged in"``, and whatever is to be known of it."""


class Users(Protocol):
    """Keeps users."""

    async def add(self, email: str, name: str) -> User:
        """Keep a new user; within the unit of work that is open.

        Raises:
            EmailTakenError: somebody has the address.
        """
        ...

    async def find(self, user_id: int) -> User | None:
        """The user, as the last transaction left it.

        Raises:
            DatabaseUnavailableError: the database is away.
        """
        ...


class FollowUps(Protocol):
    """What is to happen after a change, if that is kept; within the unit of work that is open."""

    def welcome(self, user: User) -> None:
        """Welcome a new user."""
        ...


class Activities(Protocol):
    """Keeps what users did; used inside of a unit of work."""

    async def add(self, user_id: int, deeds: Iterable[Deed]) -> None:
        """Note what a user did just now, in this order.

        Raises:
            UnknownUserError: there is no such user.
        """
        ...
