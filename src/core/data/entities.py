"""What working through data makes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Examined", "Saved", "Summary"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found in one item."""

    fields: int
    """How many values it has."""
    missing: tuple[str, ...] = ()
    """The names of those that are empty."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was found in many items."""

    items: int
    complete: int
    """How many of them miss nothing."""
    missing: dict[str, int]
    """How often each name is empty, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Saved:
    """That the outcome of a workflow is kept."""

    workflow_id: str
    """The id of the task that the workflow began with."""
    saved: datetime
    """When it was kept for the first time, UTC."""
