"""Removing what has expired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

import structlog

from core.exports import Export, ExportFiles, Exports
from core.maintenance.entities import ExpiredCounts
from core.transactions import UnitOfWork

__all__ = ["ExpiredDataService"]

logger = structlog.get_logger(__name__)

_AT_ONCE: Final = 100
"""Exports that one transaction is about."""
_ABANDONED: Final = timedelta(hours=1)
"""How long nothing is written to a file that nobody is writing any more."""


class ExpiredDataService:
    """Removes exports whose time is over, and what killed attempts left behind."""

    def __init__(self, unit: UnitOfWork, exports: Exports, files: ExportFiles) -> None:
        self._unit = unit
        self._exports = exports
        self._files = files

    def remove(self, *, dry_run: bool) -> ExpiredCounts:
        """Remove them a few at a time, and say how many there were.

        A file goes before it is noted that it is gone. Whoever is killed in between leaves an export without a file,
        which the next run notes. What could not be removed is not noted: the next run tries again.

        Args:
            dry_run: count, and touch nothing.

        Raises:
            ExportNotWrittenError: the directory of exports cannot be used.
            DatabaseUnavailableError: the database is away; what was removed until then is noted, or will be.
        """
        now = datetime.now(UTC)
        if dry_run:
            with self._unit:
                expired = self._exports.count_expired(now)
            return ExpiredCounts(expired, sum(1 for _ in self._leftovers(now)))
        removed = ExpiredCounts(self._remove_exports(now), sum(map(self._files.remove, self._leftovers(now))))
        logger.info("expired data removed", exports=removed.exports, leftovers=removed.leftovers)
        return removed

    def _remove_exports(self, now: datetime) -> int:
        removed = 0
        left: str | None = None
        last: Export | None = None
        while True:
            with self._unit:
                some = self._exports.expired(now, _AT_ONCE, last)
            if not some:
                break
            gone: list[str] = []
            for export in some:
                if self._files.remove(export.file_path):
                    gone.append(export.task_id)
                else:
                    left = left or export.file_path
            with self._unit:
                self._exports.note_removed(gone, now)
            removed += len(gone)
            last = some[-1]
        if left:
            logger.warning("expired exports are still there: remove them by hand", first=left)
        return removed

    def _leftovers(self, now: datetime) -> Iterator[str]:
        for some in _batches(self._files.forgotten(now - _ABANDONED)):
            with self._unit:
                named = self._exports.named(some)
            yield from (path for path in some if path not in named)


def _batches(paths: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(paths)
    while some := list(islice(remaining, _AT_ONCE)):
        yield some
