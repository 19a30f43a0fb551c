"""What can be wrong with an account."""

from __future__ import annotations

from typing import Self

from core.errors import ConflictError, NotFoundError

__all__ = ["EmailTakenError", "UnknownUserError"]


class EmailTakenError(ConflictError):
    """Another user has the address."""

    @classmethod
    def of(cls, email: str) -> Self:
        """The error for an address."""
        return cls(f"a user with the address {email} exists already: take another address")


class UnknownUserError(NotFoundError):
    """There is no such user."""

    @classmethod
    def of(cls, user_id: int) -> Self:
        """The error for an id."""
        return cls(f"there is no user {user_id}: it may have been deleted")
