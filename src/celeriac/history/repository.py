"""The history in SQL: facts are put together with what is known, and read in many ways."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update

from celeriac.history.cursor import read_cursor, write_cursor
from celeriac.history.database import WRITES, one_writer
from celeriac.history.facts import join
from celeriac.history.models import TaskRow
from celeriac.history.records import HistoryFilter, HistoryPage
from celeriac.history.story import ms_of, record_of
from celeriac.transport.outbox.rows import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Engine
    from sqlalchemy.sql import ColumnElement

    from celeriac.history.facts import Facts
    from celeriac.history.records import TaskRecord

__all__ = ["HistoryRepository"]

logger = logging.getLogger(__name__)

_LONGEST_ID: Final = 255
_AT_ONCE: Final = 500
"""Ids in one question: SQLite takes a thousand."""
_EVERY: Final = HistoryFilter()
_table: Final = TaskRow.__table__
_insert: Final = insert(TaskRow)
_columns: Final = [column.name for column in _table.columns if column.name != "id"]
_update: Final = (
    update(TaskRow).where(TaskRow.id == bindparam("b_id")).values({name: bindparam(f"b_{name}") for name in _columns})
)


class HistoryRepository:
    """Reads and writes the table of tasks.

    Raises, from every method:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or has no such table.

    Args:
        engine: see :func:`~celeriac.history.database.engine_of`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    # -- writing

    def add(self, facts: Mapping[str, Facts]) -> int:
        """Learn facts about some tasks, in one transaction. To learn them twice changes nothing.

        Returns:
            how many tasks are not what they were.
        """
        facts = {task_id: more for task_id, more in facts.items() if _is_possible(task_id)}
        with self._writing() as connection, connection.begin():
            one_writer(connection)
            known = self._known(connection, list(facts))
            new: list[dict[str, Any]] = []
            changed: list[dict[str, Any]] = []
            for task_id, more in facts.items():
                before = known.get(task_id)
                after = more if before is None else join(before, more)
                row = None if after == before else _row_or_none(task_id, after)
                if row is None:
                    continue
                if before is None:
                    new.append(row)
                else:
                    changed.append({f"b_{name}": value for name, value in row.items()})
            if new:
                connection.execute(_insert, new)
            if changed:
                connection.execute(_update, changed)
        return len(new) + len(changed)

    def prune(self, before: datetime, limit: int = 1000) -> int:
        """Forget tasks of which nothing was heard since, at most so many, the oldest first; how many it were."""
        oldest = select(TaskRow.id).where(TaskRow.touched < ms_of(before)).order_by(TaskRow.touched).limit(limit)
        with self._writing() as connection, connection.begin():
            one_writer(connection)
            ids = list(connection.scalars(oldest))
            for at in range(0, len(ids), _AT_ONCE):
                connection.execute(delete(TaskRow).where(TaskRow.id.in_(ids[at : at + _AT_ONCE])))
        return len(ids)

    def _writing(self) -> Connection:
        return self.engine.connect().execution_options(**WRITES)

    @staticmethod
    def _known(connection: Connection, ids: Sequence[str]) -> dict[str, Facts]:
        found: dict[str, Facts] = {}
        for at in range(0, len(ids), _AT_ONCE):
            some = select(TaskRow.id, TaskRow.facts).where(TaskRow.id.in_(ids[at : at + _AT_ONCE]))
            found.update((row.id, json.loads(row.facts)) for row in connection.execute(some))
        return found

    # -- reading

    def facts(self, task_id: str) -> Facts | None:
        """All that is known of a task."""
        if not _is_possible(task_id):
            return None
        with self.engine.connect() as connection:
            return self._known(connection, [task_id]).get(task_id)

    def waiting(self, task_id: str) -> Facts | None:
        """What the outbox of the same database tells of a task whose message was not sent yet."""
        if not _is_possible(task_id):
            return None
        columns = (OutboxRow.task, OutboxRow.queue, OutboxRow.created)
        with self.engine.connect() as connection:
            row = connection.execute(select(*columns).where(OutboxRow.id == task_id)).first()
        if row is None:
            return None
        said = {"name": row.task, "queue": row.queue}
        return {
            "first": row.created,
            "last": row.created,
            "said": [0, said],
            "queued": {"0": [row.created, None, None]},
        }

    def children(self, task_id: str, limit: int = 1000) -> tuple[str, ...]:
        """Ids of the tasks that a task called, in the order of their calls."""
        asked = select(TaskRow.id).where(TaskRow.parent_id == task_id).order_by(TaskRow.created, TaskRow.id)
        with self.engine.connect() as connection:
            return tuple(connection.scalars(asked.limit(limit)))

    def page(self, chosen: HistoryFilter = _EVERY, cursor: str | None = None, limit: int = 50) -> HistoryPage:
        """Some tasks, the newest first.

        Raises:
            InvalidCursor: no page ended with that.
        """
        asked = _after(select(TaskRow.id, TaskRow.created, TaskRow.facts), chosen, cursor).limit(limit + 1)
        with self.engine.connect() as connection:
            found: Any = connection.execute(asked)
            rows: list[Any] = list(found)
        tasks: tuple[TaskRecord, ...] = tuple(record_of(row.id, json.loads(row.facts)) for row in rows[:limit])
        more = len(rows) > limit > 0
        return HistoryPage(tasks, write_cursor(rows[limit - 1].created, rows[limit - 1].id) if more else None)

    def count(self, chosen: HistoryFilter = _EVERY) -> int:
        """How many tasks fit."""
        with self.engine.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(TaskRow).where(*_conditions(chosen))) or 0)

    def ids(self, chosen: HistoryFilter = _EVERY, limit: int | None = None) -> Iterator[str]:
        """Ids of the tasks that fit, the newest first, read some at a time."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = _AT_ONCE if left is None else min(left, _AT_ONCE)
            with self.engine.connect() as connection:
                asked = _after(select(TaskRow.id, TaskRow.created), chosen, cursor)
                found: Any = connection.execute(asked.limit(size))
                rows: list[Any] = list(found)
            yield from (row.id for row in rows)
            if len(rows) < size:
                return
            cursor = write_cursor(rows[-1].created, rows[-1].id)
            left = None if left is None else left - len(rows)


def _is_possible(task_id: str) -> bool:
    """Whether a table can hold a task of that id."""
    return 0 < len(task_id) <= _LONGEST_ID and _clean(task_id) == task_id


def _row_or_none(task_id: str, facts: Facts) -> dict[str, Any] | None:
    """The row, or ``None`` for what somebody else's message said, and no table can hold."""
    try:
        return _row(task_id, facts)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        logger.warning("what is known of task %s makes no record: %r", task_id, error)
        return None


def _row(task_id: str, facts: Facts) -> dict[str, Any]:
    record = record_of(task_id, facts)
    return {
        "id": task_id,
        "name": _cut(record.name),
        "state": str(record.state),
        "queue": _cut(record.queue),
        "worker": _cut(record.worker),
        "retries": record.retries,
        "created": facts.get("first", 0),
        "touched": facts.get("last", 0),
        "started": None if record.started_at is None else ms_of(record.started_at),
        "ended": None if record.ended_at is None else ms_of(record.ended_at),
        "parent_id": _cut(record.parent_id),
        "root_id": _cut(record.root_id),
        "group_id": _cut(record.group_id),
        "tags": "".join(f"\n{tag}\n" for tag in record.tags),
        "error": record.error and _clean(record.error),
        # PostgreSQL takes no NUL in a text, and JSON has a way to write it.
        "facts": json.dumps(facts, separators=(",", ":")),
    }


def _cut(text: str | None) -> str | None:
    return text and _clean(text)[:255]


def _clean(text: str) -> str:
    """A text that every database takes: without NUL, and without halves of characters."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _conditions(chosen: HistoryFilter) -> list[ColumnElement[bool]]:
    named = {name: getattr(chosen, name) for name in ("name", "queue", "parent_id", "root_id", "group_id")}
    conditions: list[ColumnElement[bool]] = [
        getattr(TaskRow, name) == _clean(value) for name, value in named.items() if value is not None
    ]
    if chosen.states:
        conditions.append(TaskRow.state.in_([str(state) for state in chosen.states]))
    if chosen.tag is not None:
        conditions.append(TaskRow.tags.contains(f"\n{_clean(chosen.tag)}\n", autoescape=True))
    if chosen.since is not None:
        conditions.append(TaskRow.created >= ms_of(chosen.since))
    if chosen.until is not None:
        conditions.append(TaskRow.created < ms_of(chosen.until))
    return conditions


def _after(asked: Any, chosen: HistoryFilter, cursor: str | None) -> Any:
    asked = asked.where(*_conditions(chosen)).order_by(TaskRow.created.desc(), TaskRow.id.desc())
    if cursor is None:
        return asked
    created, task_id = read_cursor(cursor)
    earlier = or_(TaskRow.created < created, and_(TaskRow.created == created, TaskRow.id < task_id))
    return asked.where(earlier)
