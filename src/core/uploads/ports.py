"""What uploads need from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from core.uploads.entities import Upload

__all__ = ["FileStorage", "MediaTypes", "UploadFollowUps", "Uploads"]


class FileStorage(Protocol):
    """Files under paths such as ``inbox/4f1c``, read and written piece by piece, so that memory stays flat.

    Paths are made by the service, never taken from outside unchecked: a ``ValueError`` is a mistake of the service.
    """

    def read(self, path: str) -> AbstractContextManager[Iterator[bytes]]:
        """The file's content in pieces of about a megabyte.

        Raises:
            FileMissingError: there is no such file.
            NotAFileError: it is a directory, a link or a device.
            StorageDeniedError: the service may not read it.
            StorageUnavailableError: the storage is away, or failed in the middle.
        """
        ...

    def write(self, path: str) -> AbstractContextManager[Callable[[bytes], object]]:
        """A function that takes the content piece by piece.

        The file appears at the end of the block, whole, in place of an earlier one; not at all if the block ends by an
        exception or with its process.

        Raises:
            NotAFileError: a directory has that name.
            StorageDeniedError: the service may not write there.
            StorageUnavailableError: the storage is away, full, or failed in the middle; or somebody else is writing
                this very file.
        """
        ...

    def size(self, path: str) -> int | None:
        """How many bytes the file has, or ``None`` where there is none.

        Raises:
            StorageDeniedError: the service may not look.
            StorageUnavailableError: the storage is away.
        """
        ...

    def delete(self, path: str) -> None:
        """See that there is no such file.

        Raises:
            NotAFileError: it is a directory.
            StorageDeniedError: the service may not remove it.
            StorageUnavailableError: the storage is away.
        """
        ...


class MediaTypes(Protocol):
    """Tells what a file is."""

    def identify(self, head: bytes) -> str:
        """The media type of a file that begins so; ``application/octet-stream`` where nobody can tell."""
        ...


class Uploads(Protocol):
    """Keeps what is known of files."""

    def find(self, file_id: str) -> Upload | None:
        """What is known of the file, as the last transaction left it.

        Raises:
            DatabaseUnavailableError: the database is away.
        """
        ...

    def save(self, upload: Upload) -> None:
        """Keep this, in place of what was known before; within the unit of work that is open."""
        ...


class UploadFollowUps(Protocol):
    """What is to happen to a file that came."""

    def process(self, file_id: str, task_id: str | None = None) -> str:
        """Have it processed, if the unit of work that is open is kept; gives the id of the task that does.

        Args:
            file_id: of the file.
            task_id: of the task, where it has to be the same however often this is asked.
        """
        ...
