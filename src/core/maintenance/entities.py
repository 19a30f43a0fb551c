"""What was removed, or would be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ExpiredCounts", "OldCounts", "OldRows"]

OldRows = Literal["activities", "completions", "exports", "results"]
"""What grows with every day: of exports the record, once the file is gone, and of workflows the results."""


@dataclass(frozen=True, slots=True)
class ExpiredCounts:
    """How much there was whose time is over."""

    exports: int
    """Exports that had expired; their files are gone."""
    leftovers: int
    """Files that no export names: what killed attempts left behind."""


@dataclass(frozen=True, slots=True)
class OldCounts:
    """How many rows were old, by table."""

    activities: int
    completions: int
    exports: int
    results: int
