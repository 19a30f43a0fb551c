"""Tasks that report."""

from __future__ import annotations

from datetime import date

from typing_extensions import TypedDict

from celeriac import Retry, TaskController, exponential, task
from core.errors import UnavailableError
from core.reports import ReportKind
from core.reports.entities import Figures, Report
from core.reports.service import ReportService

__all__ = ["ReportSummary", "ReportsTaskController"]

_RETRY = Retry(on=UnavailableError, max_retries=5, backoff=exponential(10))


class ReportSummary(TypedDict):
    """What was counted, and for which days."""

    kind: ReportKind
    first: date
    last: date
    figures: Figures


class ReportsTaskController(TaskController):
    """Figures of days, weeks and months."""

    def __init__(self, reports: ReportService) -> None:
        self._reports = reports

    @task("generate_report", queue="low_priority", retry=_RETRY)
    def generate_report(self, kind: ReportKind = "weekly", day: date | None = None) -> ReportSummary:
        """Count what there was in the period that a day belongs to, or in the last one that is over."""
        return _summary(self._reports.generate(kind, day))

    @task("generate_daily_report", retry=_RETRY)
    def generate_daily_report(self, day: date | None = None) -> ReportSummary:
        """Count what there was on ``day``, or yesterday."""
        return _summary(self._reports.generate("daily", day))


def _summary(report: Report) -> ReportSummary:
    period = report.period
    return {"kind": report.kind, "first": period.first, "last": period.last, "figures": report.figures}
