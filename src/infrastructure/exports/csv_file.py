"""Exports as comma-separated values."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from core.exports.entities import Activity, Subject
from infrastructure.exports.rows import COLUMNS, rows_of

__all__ = ["write_csv"]

_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_csv(path: Path, subject: Subject, activities: Iterable[Activity]) -> None:
    """A head and rows, in UTF-8, with the byte order mark by which spreadsheets know it."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows_of(subject, activities):
            writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    """Text that no spreadsheet runs as a formula.

    One that begins like a formula gets an apostrophe in front (OWASP, "CSV Injection"): somebody may have chosen
    ``=HYPERLINK(...)`` for a name, and somebody else opens the file.
    """
    return f"'{text}" if text.startswith(_FORMULAS) else text
