"""Files in a bucket of S3, or of anything that speaks its protocol."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store
from pydantic import SecretStr

from core.uploads.errors import FileMissingError, StorageDeniedError, StorageUnavailableError
from infrastructure.storage.paths import checked

__all__ = ["S3Storage"]

_PIECE: Final = 1 << 20
_PART: Final = 8 << 20
"""What is sent in one request. S3 wants parts of at least 5 MiB, and at most 10,000 of them: files up to 80 GiB."""
_AT_ONCE: Final = 2
"""Parts on their way, which is what memory holds."""
_CLIENT: Final[dict[str, Any]] = {
    "connect_timeout": timedelta(seconds=5),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=1),  # of a whole download; the one before notices a server that hangs
}
# A blip is worth another try at once; an outage is the business of the task's own retries.
_RETRIES: Final[Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}


class S3Storage:
    """Fulfils :class:`core.uploads.ports.FileStorage` by obstore. It connects at first use.

    A file appears when its upload is completed. Parts of an upload that never was, because its process was killed, are
    invisible, and go by the bucket's lifecycle rule ``AbortIncompleteMultipartUpload``.

    Args:
        bucket: its name.
        prefix: before every path; may be empty.
        region: where the bucket is.
        endpoint: the server's URL, where it is not Amazon's.
        credentials: id and secret of a key. Without, they are searched for as Amazon's own tools do: variables
            ``AWS_*``, then the role of the machine.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        region: str | None = None,
        endpoint: str | None = None,
        credentials: tuple[str, SecretStr] | None = None,
    ) -> None:
        self._name = f"s3://{bucket}/{prefix}".rstrip("/")
        said: dict[str, Any] = {"region": region, "endpoint": endpoint}
        if credentials is not None:
            said |= {"access_key_id": credentials[0], "secret_access_key": credentials[1].get_secret_value()}
        client: Any = {**_CLIENT, "allow_http": endpoint is not None and endpoint.startswith("http://")}
        config: Any = {name: value for name, value in said.items() if value is not None}
        self._store = S3Store(
            bucket, prefix=prefix or None, config=config, client_options=client, retry_config=_RETRIES
        )

    @contextmanager
    def read(self, path: str) -> Generator[Iterator[bytes]]:
        """See :meth:`core.uploads.ports.FileStorage.read`."""
        with self._speaking_of(path):
            pieces = iter(obstore.get(self._store, checked(path)).stream(min_chunk_size=_PIECE))
        yield self._pieces(path, pieces)

    @contextmanager
    def write(self, path: str) -> Generator[Callable[[bytes], object]]:
        """See :meth:`core.uploads.ports.FileStorage.write`."""
        with self._speaking_of(path):
            writer = obstore.open_writer(self._store, checked(path), buffer_size=_PART, max_concurrency=_AT_ONCE)

        def write(piece: bytes) -> None:
            with self._speaking_of(path):
                writer.write(piece)

        try:
            yield write
        except BaseException as error:
            writer.__exit__(type(error), error, error.__traceback__)  # drops the parts that were sent
            raise
        with self._speaking_of(path):
            writer.close()

    def size(self, path: str) -> int | None:
        """See :meth:`core.uploads.ports.FileStorage.size`."""
        try:
            with self._speaking_of(path):
                return obstore.head(self._store, checked(path))["size"]
        except FileMissingError:
            return None

    def delete(self, path: str) -> None:
        """See :meth:`core.uploads.ports.FileStorage.delete`."""
        with self._speaking_of(path):
            obstore.delete(self._store, checked(path))

    def _pieces(self, path: str, pieces: Iterator[Any]) -> Iterator[bytes]:
        while True:
            with self._speaking_of(path):
                piece = next(pieces, None)
            if piece is None:
                return
            yield bytes(piece)

    @contextmanager
    def _speaking_of(self, path: str) -> Generator[None]:
        """Say in the service's terms what the server refuses."""
        _refuse_after_fork()
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise self._denied(path, error) from error
        except (BaseError, OSError) as error:  # a writer tells everything as OSError
            said = str(error)
            if "NoSuchBucket" in said:
                msg = f"there is no bucket for {self._name}: make it, or name another in STORAGE_URL"
                raise StorageDeniedError(msg) from error
            if "403 Forbidden" in said or "401 Unauthorized" in said:
                raise self._denied(path, error) from error
            if isinstance(error, FileNotFoundError):
                msg = f"there is no file {path} in {self._name}"
                raise FileMissingError(msg) from error
            msg = f"{path} in {self._name} could not be read or written: {_short(error)}"
            raise StorageUnavailableError(msg) from error

    def _denied(self, path: str, error: Exception) -> StorageDeniedError:
        return StorageDeniedError(
            f"{self._name} does not let the service use {path}: {_short(error)}."
            " Check STORAGE_ACCESS_KEY_ID and STORAGE_SECRET_ACCESS_KEY, and what that key may do"
        )


def _refuse_after_fork() -> None:
    """The threads of obstore do not come along into a forked process: it would wait for them for ever.

    Raises:
        RuntimeError: this process was forked from one that used a bucket.
    """
    _used_by.add(os.getpid())
    if len(_used_by) > 1:
        _used_by.discard(os.getpid())
        msg = "a bucket was used before this process was forked: fork first, or use it in the parent alone"
        raise RuntimeError(msg)


_used_by: set[int] = set()
"""The process that uses buckets, also after a fork."""


def _short(error: Exception) -> str:
    return str(error).partition("\n")[0].strip()[:300]
