"""A history in memory, for tests of what reads one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from celeriac.exceptions import InvalidCursor
from celeriac.history.records import HistoryFilter, HistoryPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celeriac.history.records import TaskRecord

__all__ = ["MemoryHistory"]


class MemoryHistory:
    """Holds the records that it is given, the newest first. Nobody writes to it by himself.

    Args:
        records: what happened.
    """

    def __init__(self, *records: TaskRecord) -> None:
        self.records = {record.id: record for record in records}

    def put(self, record: TaskRecord) -> None:
        """One more, or another state of one."""
        self.records[record.id] = record

    def get(self, task_id: str, /) -> TaskRecord | None:
        """See :meth:`celeriac.history.service.TaskHistory.get`."""
        return self.records.get(task_id)

    def page(self, chosen: HistoryFilter | None = None, cursor: str | None = None, limit: int = 50, /) -> HistoryPage:
        """See :meth:`celeriac.history.service.TaskHistory.page`; a cursor is a number here.

        Raises:
            InvalidCursor: it is none.
        """
        if cursor is not None and not (cursor.isascii() and cursor.isdigit()):
            raise InvalidCursor(cursor=cursor)
        found, start = list(self._fitting(chosen)), int(cursor or 0)
        more = len(found) > start + limit
        return HistoryPage(tuple(found[start : start + limit]), str(start + limit) if more else None)

    def count(self, chosen: HistoryFilter | None = None, /) -> int:
        """See :meth:`celeriac.history.service.TaskHistory.count`."""
        return sum(1 for _ in self._fitting(chosen))

    def ids(self, chosen: HistoryFilter | None = None, limit: int | None = None, /) -> Iterator[str]:
        """See :meth:`celeriac.history.service.TaskHistory.ids`."""
        for number, record in enumerate(self._fitting(chosen)):
            if limit is not None and number >= limit:
                return
            yield record.id

    def _fitting(self, chosen: HistoryFilter | None) -> Iterator[TaskRecord]:
        wanted = chosen or HistoryFilter()
        return (record for record in reversed(list(self.records.values())) if _fits(record, wanted))


def _fits(record: TaskRecord, chosen: HistoryFilter) -> bool:
    same = {each.name for each in fields(HistoryFilter)} - {"states", "tag", "since", "until"}
    return (
        (not chosen.states or record.state in chosen.states)
        and all(getattr(chosen, name) in {None, getattr(record, name)} for name in same)
        and (chosen.tag is None or chosen.tag in record.tags)
        and (chosen.since is None or (record.queued_at is not None and record.queued_at >= chosen.since))
        and (chosen.until is None or (record.queued_at is not None and record.queued_at < chosen.until))
    )
