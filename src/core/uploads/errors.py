"""What can be wrong with a file, and with where it is kept."""

from __future__ import annotations

from core.errors import NotFoundError, RefusedError, UnavailableError

__all__ = [
    "EmptyUploadError",
    "FileMissingError",
    "InvalidFileIdError",
    "NotAFileError",
    "StorageDeniedError",
    "StorageUnavailableError",
    "TruncatedUploadError",
]


class InvalidFileIdError(RefusedError):
    """What is called a file's id is none: it could lead out of the storage, or names nothing."""


class FileMissingError(NotFoundError):
    """There is no such file in the storage."""


class NotAFileError(RefusedError):
    """What has the file's name is a directory, a link or a device."""


class EmptyUploadError(RefusedError):
    """The file has no content."""


class TruncatedUploadError(RefusedError):
    """The end of the file is missing."""


class StorageDeniedError(RefusedError):
    """The storage does not let the service in: whoever runs it has to change that."""


class StorageUnavailableError(UnavailableError):
    """The storage is away, full, or failed in the middle; nothing half-written is kept."""
