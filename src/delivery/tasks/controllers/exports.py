"""Tasks that export data."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from celeriac import Retry, TaskContext, TaskController, exponential, task
from core.errors import UnavailableError
from core.exports import ExportFormat
from core.exports.entities import ExportProgress
from core.exports.service import ExportService

__all__ = ["ExportedUserData", "ExportsTaskController"]


class ExportedUserData(TypedDict):
    """Where the file is."""

    status: Literal["completed"]
    file_path: str


class ExportsTaskController(TaskController):
    """Exports that say how far they are."""

    def __init__(self, exports: ExportService, context: TaskContext) -> None:
        self._exports = exports
        self._context = context

    @task("export_user_data", retry=Retry(on=UnavailableError, max_retries=5, backoff=exponential(10)))
    def export_user_data(self, user_id: int, export_format: ExportFormat) -> ExportedUserData:
        """Write all that is known of a user into a file, in four steps.

        Each step is told as progress, and under the Redis key ``export_progress:{task_id}`` for an hour.
        """
        export = self._exports.export(self._context.id, user_id, export_format, self._report)
        return {"status": "completed", "file_path": export.file_path}

    def _report(self, progress: ExportProgress) -> None:
        self._context.progress(**progress)
