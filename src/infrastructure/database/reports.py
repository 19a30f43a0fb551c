"""Reports in the database, and what they count there."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from core.reports.entities import Figures, Period, Report, ReportKind
from infrastructure.database.models import ActivityRow, CompletionRow, ExportRow, ReportRow, UploadRow, UserRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from infrastructure.database.upsert import put

__all__ = ["SqlReports", "SqlStatistics"]


class SqlStatistics:
    """Fulfils :class:`core.reports.ports.Statistics`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def figures(self, period: Period) -> Figures:
        """See :meth:`core.reports.ports.Statistics.figures`."""
        (users,) = self._counted(period, UserRow.created, func.count())
        active, activities = self._counted(
            period, ActivityRow.at, func.count(ActivityRow.user_id.distinct()), func.count()
        )
        completions, tokens = self._counted(
            period, CompletionRow.created, func.count(), func.sum(CompletionRow.total_tokens)
        )
        (exports,) = self._counted(period, ExportRow.created, func.count())
        uploads, size = self._counted(period, UploadRow.processed, func.count(), func.sum(UploadRow.size))
        return Figures(
            new_users=users,
            active_users=active,
            activities=activities,
            completions=completions,
            tokens=tokens,
            exports=exports,
            uploads=uploads,
            uploaded_bytes=size,
        )

    def _counted(
        self, period: Period, moment: InstrumentedAttribute[datetime], *numbers: ColumnElement[Any]
    ) -> list[int]:
        """The numbers over the rows of one table whose moment is within the period; a sum of nothing is 0."""
        begin = datetime.combine(period.first, time.min, UTC)
        end = datetime.combine(period.last, time.min, UTC) + timedelta(days=1)
        query = select(*numbers).select_from(moment.class_).where(moment >= begin, moment < end)
        return [int(number or 0) for number in self._unit.session.execute(query).one()]


class SqlReports:
    """Fulfils :class:`core.reports.ports.Reports`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def find(self, kind: ReportKind, period: Period) -> Report | None:
        """See :meth:`core.reports.ports.Reports.find`."""
        row = self._unit.session.get(ReportRow, (kind, period.first, period.last))
        return None if row is None else Report(kind, period, Figures(**row.figures), row.generated)

    def keep(self, report: Report) -> None:
        """See :meth:`core.reports.ports.Reports.keep`."""
        put(
            self._unit.session,
            ReportRow,
            kind=report.kind,
            first=report.period.first,
            last=report.period.last,
            figures=asdict(report.figures),
            generated=report.generated,
        )
