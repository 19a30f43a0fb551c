"""Exports in the database: what is exported, and what was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, Text, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from core.exports.entities import Activity, Export, Subject
from core.exports.errors import NothingToExportError
from core.exports.formats import ExportFormat
from infrastructure.database.database import Database
from infrastructure.database.models import ActivityRow, ExportRow, UserRow
from infrastructure.database.models.accounts import may_be_user
from infrastructure.database.unit_of_work import SqlUnitOfWork
from infrastructure.database.upsert import put

__all__ = ["SqlExports", "SqlUserData"]

_PAGE: Final = 2_000
"""Activities that are held at a time."""
_PAGE_BYTES: Final = 8 << 20
"""Bytes of details after which a page ends, however few its activities are."""
_PIECE: Final = 100
"""Activities that are fetched at a time."""


class SqlUserData:
    """Fulfils :class:`core.exports.ports.UserData`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def subject(self, user_id: int) -> Subject:
        """See :meth:`core.exports.ports.UserData.subject`."""
        with self._database.reading() as session:
            user = session.get(UserRow, user_id) if may_be_user(user_id) else None
        if user is None:
            raise NothingToExportError.of(user_id)
        return Subject(user.id, user.email, user.name, user.created)

    def activities(self, user_id: int) -> Iterator[Activity]:
        """See :meth:`core.exports.ports.UserData.activities`."""
        with self._database.reading() as session:
            last = session.scalar(select(func.max(ActivityRow.id)).where(ActivityRow.user_id == user_id))
        return self._until(last or 0, user_id)

    def _until(self, last: int, user_id: int) -> Iterator[Activity]:
        """By pages that begin after the last id of the one before, which an index finds at once.

        Each is a transaction of its own, over before its activities are written: a slow disk keeps none open.
        """
        size = func.length(ActivityRow.details.cast(Text)).label("size")
        columns = (ActivityRow.id, ActivityRow.at, ActivityRow.kind, ActivityRow.details, size)
        after = 0
        while after < last:
            page = (
                select(*columns)
                .where(ActivityRow.user_id == user_id, ActivityRow.id > after, ActivityRow.id <= last)
                .order_by(ActivityRow.id)
                .limit(_PAGE)
            )
            bit_by_bit = {"yield_per": _PIECE}
            with self._database.reading() as session, session.execute(page, execution_options=bit_by_bit) as found:
                rows = _page(found)
            if not rows:
                return  # the rest was removed meanwhile
            for row in rows:
                yield Activity(row.id, row.at, row.kind, row.details)
            after = rows[-1].id


class SqlExports:
    """Fulfils :class:`core.exports.ports.Exports`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def find(self, task_id: str) -> Export | None:
        """See :meth:`core.exports.ports.Exports.find`."""
        row = self._unit.session.get(ExportRow, task_id)
        return None if row is None else _export(row)

    def keep(self, export: Export) -> None:
        """See :meth:`core.exports.ports.Exports.keep`."""
        try:
            put(
                self._unit.session,
                ExportRow,
                task_id=export.task_id,
                user_id=export.user_id,
                format=export.format,
                file_path=export.file_path,
                rows=export.rows,
                created=export.created,
                expires=export.expires,
                removed=None,
            )
        except IntegrityError as error:  # nothing but the user has to exist
            raise NothingToExportError.of(export.user_id) from error

    def expired(self, now: datetime, limit: int, after: Export | None = None) -> list[Export]:
        """See :meth:`core.exports.ports.Exports.expired`."""
        rows = select(ExportRow).where(*_expired(now))
        if after is not None:
            same = and_(ExportRow.expires == after.expires, ExportRow.task_id > after.task_id)
            rows = rows.where(or_(ExportRow.expires > after.expires, same))
        rows = rows.order_by(ExportRow.expires, ExportRow.task_id).limit(limit)
        return [_export(row) for row in self._unit.session.scalars(rows)]

    def count_expired(self, now: datetime) -> int:
        """See :meth:`core.exports.ports.Exports.count_expired`."""
        number = select(func.count()).select_from(ExportRow).where(*_expired(now))
        return self._unit.session.scalar(number) or 0

    def note_removed(self, task_ids: Iterable[str], now: datetime) -> None:
        """See :meth:`core.exports.ports.Exports.note_removed`."""
        rows = update(ExportRow).where(ExportRow.task_id.in_(list(task_ids)), *_expired(now))
        self._unit.session.execute(rows.values(removed=now))

    def named(self, paths: Iterable[str]) -> set[str]:
        """See :meth:`core.exports.ports.Exports.named`."""
        rows = select(ExportRow.file_path).where(ExportRow.file_path.in_(list(paths)), ExportRow.removed.is_(None))
        return set(self._unit.session.scalars(rows))


def _page(found: Iterable[Any]) -> list[Any]:
    """The first rows, until their details have that many bytes."""
    rows: list[Any] = []
    held = 0
    for row in found:
        rows.append(row)
        held += row.size
        if held >= _PAGE_BYTES:
            break
    return rows


def _expired(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (ExportRow.removed.is_(None), ExportRow.expires <= now)


def _export(row: ExportRow) -> Export:
    kind = cast("ExportFormat", row.format)  # nothing else is ever written there
    return Export(row.task_id, row.user_id, kind, row.file_path, row.rows, row.created, row.expires)
