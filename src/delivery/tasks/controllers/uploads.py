"""Tasks that look at files."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from celeriac import Retry, TaskController, exponential, jittered, task
from core.errors import UnavailableError
from core.uploads.service import UploadService

__all__ = ["ProcessedUpload", "UploadTaskController"]


class ProcessedUpload(TypedDict):
    """Which file was processed."""

    file_id: str
    processed: Literal[True]


class UploadTaskController(TaskController):
    """Files that people send."""

    def __init__(self, uploads: UploadService) -> None:
        self._uploads = uploads

    @task(
        "process_upload",
        queue="default",
        retry=Retry(on=UnavailableError, max_retries=5, backoff=jittered(exponential(5, maximum=300))),
    )
    def process_upload(self, file_id: str) -> ProcessedUpload:
        """Check a file that was sent, keep it, and record its checksum, media type and size."""
        self._uploads.process(file_id)
        return {"file_id": file_id, "processed": True}
