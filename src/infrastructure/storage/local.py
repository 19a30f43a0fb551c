"""Files in a directory."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from core.uploads.errors import FileMissingError, NotAFileError, StorageDeniedError, StorageUnavailableError
from infrastructure.files.disk import bring_to_disk
from infrastructure.storage.paths import checked

__all__ = ["LocalStorage"]

_PIECE: Final = 1 << 20
_NO_FILE: Final = (errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class LocalStorage:
    """Fulfils :class:`core.uploads.ports.FileStorage`.

    A file is written beside its place, under a name that begins with a dot, brought to disk, and renamed. What a killed
    process leaves behind is written over by the next attempt, as it has the same name; a lock, which ends with the
    process, keeps two living ones apart.

    Args:
        directory: made at the first write if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def read(self, path: str) -> Generator[Iterator[bytes]]:
        """See :meth:`core.uploads.ports.FileStorage.read`."""
        with self._speaking_of(path):
            file = FileIO(self._at(path), opener=_opened)  # which closes also what proves to be a directory
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise self._no_file(path)
            yield self._pieces(path, file)

    @contextmanager
    def write(self, path: str) -> Generator[Callable[[bytes], object]]:
        """See :meth:`core.uploads.ports.FileStorage.write`."""
        place = self._at(path)
        beside = place.with_name(f".{place.name}.part")
        with self._speaking_of(path):
            if place.is_dir():
                raise self._no_file(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            file = self._alone(beside, path)
        with file:
            try:
                yield lambda piece: self._append(path, file, piece)
                with self._speaking_of(path):
                    os.fsync(file.fileno())
                    beside.replace(place)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
        with self._speaking_of(path):
            bring_to_disk(place.parent)

    def size(self, path: str) -> int | None:
        """See :meth:`core.uploads.ports.FileStorage.size`."""
        try:
            with self._speaking_of(path):
                found = self._at(path).lstat()
        except FileMissingError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def delete(self, path: str) -> None:
        """See :meth:`core.uploads.ports.FileStorage.delete`."""
        with self._speaking_of(path):
            self._at(path).unlink(missing_ok=True)

    def _at(self, path: str) -> Path:
        return self._directory / checked(path)

    def _pieces(self, path: str, file: BinaryIO) -> Iterator[bytes]:
        while True:
            with self._speaking_of(path):
                piece = file.read(_PIECE)
            if not piece:
                return
            yield piece

    def _append(self, path: str, file: BinaryIO, piece: bytes) -> None:
        rest = memoryview(piece)
        with self._speaking_of(path):
            while rest:
                rest = rest[file.write(rest) :]

    def _alone(self, beside: Path, path: str) -> BinaryIO:
        """The file beside, empty, and locked until it is closed."""
        while True:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            file = os.fdopen(descriptor, "wb", buffering=0)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, beside):  # else another process renamed it before the lock was ours
                    os.truncate(descriptor, 0)
                    return file
            except BlockingIOError:
                file.close()
                msg = f"{path} in {self._directory} is being written by another process right now"
                raise StorageUnavailableError(msg) from None
            file.close()

    @contextmanager
    def _speaking_of(self, path: str) -> Generator[None]:
        """Say in the service's terms what the system refuses."""
        try:
            yield
        except FileNotFoundError as error:
            msg = f"there is no file {path} in {self._directory}"
            raise FileMissingError(msg) from error
        except OSError as error:
            if error.errno in _NO_FILE:
                raise self._no_file(path) from error
            if error.errno in _DENIED:
                msg = (
                    f"the service may not use {path} in {self._directory}: {error.strerror}."
                    " Give it to the user that the service runs as, or name another directory in STORAGE_URL"
                )
                raise StorageDeniedError(msg) from error
            msg = f"{path} in {self._directory} could not be read or written: {error.strerror}"
            raise StorageUnavailableError(msg) from error

    def _no_file(self, path: str) -> NotAFileError:
        return NotAFileError(f"{path} in {self._directory} is no file: a directory, a link or a device is in its place")


def _opened(path: str, flags: int) -> int:
    """Neither waits for the other end of a pipe, nor follows a link out of the directory."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one of that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
