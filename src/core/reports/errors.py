"""What can be wrong with a report."""

from __future__ import annotations

from datetime import date
from typing import Self

from core.errors import RefusedError
from core.reports.entities import ReportKind

__all__ = ["PeriodNotOverError"]


class PeriodNotOverError(RefusedError):
    """The period goes on, so its figures would still change."""

    @classmethod
    def of(cls, kind: ReportKind, day: date) -> Self:
        """The error for the period that this day belongs to."""
        return cls(
            f"the {kind} report that {day} belongs to cannot be made yet: its figures change until its last day is"
            " over, in UTC. Name an earlier day, or none for the last period that is over"
        )
