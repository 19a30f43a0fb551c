"""What can be wrong with an export."""

from __future__ import annotations

from typing import Self

from core.errors import NotFoundError, RefusedError, UnavailableError

__all__ = ["ExportNotWrittenError", "NoRoomError", "NothingToExportError"]


class NothingToExportError(NotFoundError):
    """There is no such user."""

    @classmethod
    def of(cls, user_id: int) -> Self:
        """The error for this user."""
        return cls(f"user {user_id} does not exist, so there is nothing to export: it may have been deleted")


class NoRoomError(UnavailableError):
    """The disk, or the user's share of it, is full: expired exports that are removed make room."""


class ExportNotWrittenError(RefusedError):
    """The directory of exports cannot be used: it may not be written to, or is none."""
