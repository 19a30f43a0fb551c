"""What reports need from outside."""

from __future__ import annotations

from typing import Protocol

from core.reports.entities import Figures, Period, Report, ReportKind

__all__ = ["Reports", "Statistics"]


class Statistics(Protocol):
    """Counts; used inside of a unit of work."""

    def figures(self, period: Period) -> Figures:
        """What there was from the first day's midnight, UTC, to the one after the last day."""
        ...


class Reports(Protocol):
    """The record of every report; used inside of a unit of work."""

    def find(self, kind: ReportKind, period: Period) -> Report | None:
        """The report of this period, if there is one."""
        ...

    def keep(self, report: Report) -> None:
        """Note a report, in place of one of the same kind and period."""
        ...
