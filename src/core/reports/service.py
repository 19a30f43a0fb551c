"""What a day, a week or a month looked like."""

from __future__ import annotations

from datetime import UTC, date, datetime

import structlog

from core.reports.entities import Period, Report, ReportKind
from core.reports.errors import PeriodNotOverError
from core.reports.periods import latest, period_of
from core.reports.ports import Reports, Statistics
from core.transactions import UnitOfWork

__all__ = ["ReportService"]

logger = structlog.get_logger(__name__)


class ReportService:
    """Generates reports: counted and noted in one transaction, one for each kind and period."""

    def __init__(self, unit: UnitOfWork, statistics: Statistics, reports: Reports) -> None:
        self._unit = unit
        self._statistics = statistics
        self._reports = reports

    def generate(self, kind: ReportKind, day: date | None = None) -> Report:
        """Count, note what was counted, and return it.

        A period is counted once: figures of one that is over do not change, and what they were counted from does not
        stay for ever.

        Args:
            kind: how long the period is.
            day: any day of it; without one it is the last period that is over.

        Raises:
            PeriodNotOverError: today belongs to the period, or it has yet to come.
            DatabaseUnavailableError: the database is away.
        """
        now = datetime.now(UTC)
        period = latest(kind, now.date()) if day is None else _over(kind, day, today=now.date())
        with self._unit:
            if (known := self._reports.find(kind, period)) is not None:
                return known
            report = Report(kind, period, self._statistics.figures(period), now)
            self._reports.keep(report)
        logger.info("report generated", kind=kind, first=str(period.first), last=str(period.last))
        return report


def _over(kind: ReportKind, day: date, *, today: date) -> Period:
    if day < today and (period := period_of(kind, day)).last < today:
        return period
    raise PeriodNotOverError.of(kind, day)
