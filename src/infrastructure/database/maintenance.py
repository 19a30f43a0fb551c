"""Rows of former days."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.sql.elements import SQLCoreOperations

from core.maintenance.entities import OldRows
from infrastructure.database.models import ActivityRow, Base, CompletionRow, ExportRow, ResultRow
from infrastructure.database.unit_of_work import SqlUnitOfWork

__all__ = ["SqlOldData"]


class _Kept(NamedTuple):
    """One table: what tells its rows apart, when each was written, and what else must hold before it goes."""

    table: type[Base]
    key: SQLCoreOperations[Any]
    moment: SQLCoreOperations[datetime]
    also: tuple[ColumnElement[bool], ...] = ()

    def older(self, before: datetime) -> tuple[ColumnElement[bool], ...]:
        """What holds for rows that may go."""
        return (self.moment < before, *self.also)


_TABLES: Final[dict[OldRows, _Kept]] = {
    "activities": _Kept(ActivityRow, ActivityRow.id, ActivityRow.at),
    "completions": _Kept(CompletionRow, CompletionRow.request_id, CompletionRow.created),
    "exports": _Kept(ExportRow, ExportRow.task_id, ExportRow.created, (ExportRow.removed.is_not(None),)),
    "results": _Kept(ResultRow, ResultRow.workflow_id, ResultRow.saved),
}


class SqlOldData:
    """Fulfils :class:`core.maintenance.ports.OldData`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def count(self, rows: OldRows, before: datetime) -> int:
        """See :meth:`core.maintenance.ports.OldData.count`."""
        old = _TABLES[rows]
        number = select(func.count()).select_from(old.table).where(*old.older(before))
        return self._unit.session.scalar(number) or 0

    def remove(self, rows: OldRows, before: datetime, limit: int) -> int:
        """See :meth:`core.maintenance.ports.OldData.remove`."""
        old = _TABLES[rows]
        some = select(old.key).where(*old.older(before)).order_by(old.moment).limit(limit)
        keys = self._unit.session.scalars(some).all()
        self._unit.session.execute(delete(old.table).where(old.key.in_(keys)))
        return len(keys)
