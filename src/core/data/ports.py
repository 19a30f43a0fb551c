"""What working through data needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TableReader", "UnreadableTableError"]


class UnreadableTableError(Exception):
    """A file is no table that can be read; the text says which and why."""


class TableReader(Protocol):
    """Reads tables from files."""

    def read(self, path: Path) -> list[dict[str, str]]:
        """Each row as column name to text, in the file's order.

        Raises:
            UnreadableTableError: the file is missing, empty, not text, or a row has more cells than the head.
        """
        ...
