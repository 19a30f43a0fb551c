"""What can be wrong with data."""

from __future__ import annotations

from core.errors import ConflictError, NotFoundError, RefusedError

__all__ = ["ContradictingOutcomeError", "TableTooLargeError", "UnknownTableError", "UnreadableTableError"]


class UnreadableTableError(RefusedError):
    """A file is no table that can be read; the text says which and why."""


class TableTooLargeError(RefusedError):
    """A table has more bytes than messages should carry."""


class UnknownTableError(NotFoundError):
    """There is no table of that name."""


class ContradictingOutcomeError(ConflictError):
    """A workflow came to two different outcomes."""
