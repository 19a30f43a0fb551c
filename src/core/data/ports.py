"""What working through data needs from outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import JsonValue

__all__ = ["Results", "TableReader", "Tables"]


class TableReader(Protocol):
    """Reads tables from files."""

    def read(self, path: Path) -> list[dict[str, str]]:
        """Each row as column name to text, in the file's order.

        Raises:
            UnreadableTableError: the file is missing, empty, not text, or a row has more cells than the head.
        """
        ...


class Tables(Protocol):
    """The tables that the service may read, by name."""

    def read(self, name: str) -> list[dict[str, str]]:
        """Each row as column name to text, in the table's order.

        Raises:
            UnknownTableError: there is none of that name.
            TableTooLargeError: it has more bytes than is allowed.
            UnreadableTableError: it cannot be read as a table.
        """
        ...


class Results(Protocol):
    """The outcomes of workflows that are kept. Used inside of a transaction."""

    def keep(self, workflow_id: str, outcome: Mapping[str, JsonValue]) -> tuple[Mapping[str, JsonValue], datetime]:
        """Keep an outcome, unless that workflow has one; gives what is kept, and since when (UTC)."""
        ...
