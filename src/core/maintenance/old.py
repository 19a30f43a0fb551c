"""Removing what is old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, get_args

import structlog

from core.maintenance.entities import OldCounts, OldRows
from core.maintenance.ports import OldData
from core.transactions import UnitOfWork

__all__ = ["OldDataService"]

logger = structlog.get_logger(__name__)

_AT_ONCE: Final = 1_000
"""Rows that one transaction removes: others wait for no longer than that takes."""


class OldDataService:
    """Removes rows of former days."""

    def __init__(self, unit: UnitOfWork, data: OldData) -> None:
        self._unit = unit
        self._data = data

    def remove(self, *, older_than_days: int, dry_run: bool) -> OldCounts:
        """Remove them in many short transactions, and say how many there were.

        Each transaction stays done, whatever happens to the next: who is killed goes on where it was.

        Args:
            older_than_days: how many days stay.
            dry_run: count, and touch nothing.

        Raises:
            DatabaseUnavailableError: the database is away; what was removed until then is gone.
        """
        before = datetime.now(UTC) - timedelta(days=older_than_days)
        work = self._count if dry_run else self._remove
        counts = OldCounts(**{rows: work(rows, before) for rows in get_args(OldRows)})
        logger.info("old data counted" if dry_run else "old data removed", before=before.isoformat())
        return counts

    def _count(self, rows: OldRows, before: datetime) -> int:
        with self._unit:
            return self._data.count(rows, before)

    def _remove(self, rows: OldRows, before: datetime) -> int:
        removed = 0
        while True:
            with self._unit:
                some = self._data.remove(rows, before, _AT_ONCE)
            removed += some
            if some < _AT_ONCE:
                return removed
