"""What a report tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

__all__ = ["Figures", "Period", "Report", "ReportKind"]

ReportKind = Literal["daily", "weekly", "monthly"]
"""How long the period is: a day, a week from Monday to Sunday, or a month of the calendar; all in UTC."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is counted in a period."""

    new_users: int
    active_users: int
    """Users who did anything."""
    activities: int
    completions: int
    tokens: int
    """Of those completions, prompts and answers together."""
    exports: int
    uploads: int
    uploaded_bytes: int


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in UTC, the last one included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a period, as they were when it was generated."""

    kind: ReportKind
    period: Period
    figures: Figures
    generated: datetime
