"""What is known of uploads, in the database."""

from __future__ import annotations

from core.uploads import Upload
from infrastructure.database.database import Database
from infrastructure.database.models import UploadRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from infrastructure.database.upsert import put

__all__ = ["SqlUploads"]


class SqlUploads:
    """Fulfils :class:`core.uploads.ports.Uploads`."""

    def __init__(self, unit: SqlUnitOfWork, database: Database) -> None:
        self._unit = unit
        self._database = database

    def find(self, file_id: str) -> Upload | None:
        """See :meth:`core.uploads.ports.Uploads.find`."""
        with self._database.reading() as session:
            row = session.get(UploadRow, file_id)
        if row is None:
            return None
        return Upload(row.file_id, row.sha256, row.media_type, row.size, row.location, row.processed)

    def save(self, upload: Upload) -> None:
        """See :meth:`core.uploads.ports.Uploads.save`."""
        put(
            self._unit.session,
            UploadRow,
            file_id=upload.file_id,
            sha256=upload.sha256,
            media_type=upload.media_type,
            size=upload.size,
            location=upload.location,
            processed=upload.processed,
        )
