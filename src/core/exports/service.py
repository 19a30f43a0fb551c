"""Everything that is known of a user, in a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from core.exports.entities import STEPS, Export, ExportProgress
from core.exports.errors import NothingToExportError
from core.exports.formats import ExportFormat
from core.exports.ports import ExportFiles, Exports, ProgressBoard, ReportProgress, UserData
from core.transactions import UnitOfWork

__all__ = ["ExportService"]

logger = structlog.get_logger(__name__)


class ExportService:
    """Exports the data of one user, once for each task, however often that task is delivered.

    Args:
        unit: the transaction in which an export is noted.
        data: what is known of the user.
        files: where the file goes.
        exports: where it is noted.
        board: shows how far each export is.
        lifetime: how long a file is kept.
    """

    def __init__(
        self,
        unit: UnitOfWork,
        data: UserData,
        files: ExportFiles,
        exports: Exports,
        board: ProgressBoard,
        *,
        lifetime: timedelta,
    ) -> None:
        self._unit = unit
        self._data = data
        self._files = files
        self._exports = exports
        self._board = board
        self._lifetime = lifetime

    def export(self, task_id: str, user_id: int, kind: ExportFormat, report: ReportProgress) -> Export:
        """Write the file, note it, and return what was noted.

        The file is named after the task, and is there whole before it is noted: an attempt that died in between left
        either nothing, or the file that the next attempt puts there again.

        Raises:
            NothingToExportError: there is no such user.
            NoRoomError: the disk is full.
            ExportNotWrittenError: the directory of exports cannot be used.
            DatabaseUnavailableError: the database is away; there is no half file.
        """
        tell = self._teller(task_id, report)
        if (done := self._done(task_id)) is not None:
            tell(4)
            return done
        tell(1)
        subject = self._data.subject(user_id)
        tell(2)
        activities = self._data.activities(user_id)
        tell(3)
        file = self._files.write(task_id, kind, subject, activities)
        now = datetime.now(UTC)
        export = Export(task_id, user_id, kind, file.path, file.rows, now, now + self._lifetime)
        self._keep(export)
        tell(4)
        logger.info("user data exported", user_id=user_id, format=kind, rows=file.rows)
        return export

    def _done(self, task_id: str) -> Export | None:
        """What an earlier delivery of this task made, if it is still there."""
        with self._unit:
            export = self._exports.find(task_id)
        return export if export is not None and self._files.exists(export.file_path) else None

    def _keep(self, export: Export) -> None:
        try:
            with self._unit:
                self._exports.keep(export)
        except NothingToExportError:
            self._files.remove(export.file_path)  # who was deleted meanwhile leaves no data behind
            raise

    def _teller(self, task_id: str, report: ReportProgress) -> Callable[[int], None]:
        def tell(step: int) -> None:
            total = len(STEPS)
            progress = ExportProgress(current=step, total=total, percent=step * 100 // total, message=STEPS[step - 1])
            self._board.put(task_id, progress)
            report(progress)

        return tell
