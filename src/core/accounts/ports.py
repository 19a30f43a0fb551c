"""What accounts need from outside."""

from __future__ import annotations

from typing import Protocol

from core.accounts.entities import User

__all__ = ["FollowUps", "Users"]


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
