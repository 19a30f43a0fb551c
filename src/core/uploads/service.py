"""Takes files out of the inbox."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import structlog

from core.transactions import UnitOfWork
from core.uploads.entities import Upload
from core.uploads.errors import EmptyUploadError, FileMissingError, TruncatedUploadError
from core.uploads.ids import inbox_of
from core.uploads.ports import FileStorage, MediaTypes, Uploads
from core.uploads.scan import Scan

__all__ = ["UploadService"]

logger = structlog.get_logger(__name__)

_AGAIN: Final = "it stays in the inbox until a whole one takes its place"


class UploadService:
    """Files come into the inbox under their id; from there they are looked at and kept.

    The steps are: copy, record, empty the inbox. Whoever is stopped between two of them begins again and comes to the
    same end, because the inbox holds the file until all is done.
    """

    def __init__(self, storage: FileStorage, media_types: MediaTypes, uploads: Uploads, unit: UnitOfWork) -> None:
        self._storage = storage
        self._media_types = media_types
        self._uploads = uploads
        self._unit = unit

    def process(self, file_id: str) -> Upload:
        """Check the file, keep it, and record what it is. Once done, another call changes nothing.

        A file that is refused stays in the inbox.

        Raises:
            InvalidFileIdError: ``file_id`` is no id.
            FileMissingError: no file came under that id.
            EmptyUploadError: it has no content.
            TruncatedUploadError: it begins as PNG, PDF or ZIP, and its end is missing.
            NotAFileError: it is a directory, a link or a device.
            StorageDeniedError: the service may not read or write where it has to.
            StorageUnavailableError: the storage is away, full, or failed in the middle.
            DatabaseUnavailableError: the database is away.
        """
        inbox = inbox_of(file_id)
        try:
            upload = self._keep(file_id, inbox)
        except FileMissingError:
            return self._kept(file_id, inbox)
        with self._unit:
            self._uploads.save(upload)
        self._storage.delete(inbox)
        logger.info("upload processed", file_id=file_id, media_type=upload.media_type, size=upload.size)
        return upload

    def _keep(self, file_id: str, inbox: str) -> Upload:
        """Copy the file to its place: what is recorded is what was copied, whatever happens to the inbox meanwhile."""
        location = f"files/{file_id}"
        scan = Scan()
        with self._storage.read(inbox) as pieces, self._storage.write(location) as write:
            for piece in pieces:
                scan.feed(piece)
                write(piece)
            if not scan.size:
                msg = f"upload {file_id!r} is empty; {_AGAIN}"
                raise EmptyUploadError(msg)
            if (kind := scan.cut_off) is not None:
                msg = f"upload {file_id!r} was cut off: it begins as {kind}, whose end is missing; {_AGAIN}"
                raise TruncatedUploadError(msg)
        media_type = self._media_types.identify(scan.head)
        return Upload(file_id, scan.sha256, media_type, scan.size, location, datetime.now(UTC))

    def _kept(self, file_id: str, inbox: str) -> Upload:
        """What an earlier call recorded."""
        if (upload := self._uploads.find(file_id)) is None:
            msg = f"no file came under the id {file_id!r}: there is neither {inbox} in the storage nor a record of it"
            raise FileMissingError(msg)
        if self._storage.size(upload.location) != upload.size:
            msg = f"upload {file_id!r} was processed, but {upload.location} in the storage is not the file it was"
            raise FileMissingError(msg)
        return upload
