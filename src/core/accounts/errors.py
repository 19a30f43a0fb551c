"""What can be wrong with an account, and with what its user did."""

from __future__ import annotations

from typing import Self

from core.errors import ConflictError, NotFoundError, RefusedError

__all__ = ["EmailTakenError", "UnfitDetailsError", "UnknownUserError"]


class EmailTakenError(ConflictError):
    """Another user has the address."""

    @classmethod
    def of(cls, email: str) -> Self:
        """The error for an address."""
        return cls(f"a user with the address {email} exists already: take another address")


class UnfitDetailsError(RefusedError):
    """The details of an activity are no JSON, or too long."""

    @classmethod
    def of(cls, kind: str, reason: str) -> Self:
        """The error for an activity."""
        return cls(f"the details of {kind[:100]!r} cannot be kept, and nothing was noted: {reason}")


class UnknownUserError(NotFoundError):
    """There is no such user."""

    @classmethod
    def of(cls, user_id: int) -> Self:
        """The error for an id."""
        return cls(f"there is no user {user_id}: it may have been deleted")
