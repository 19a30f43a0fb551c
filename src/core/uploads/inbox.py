"""Puts files into the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from uuid import uuid4

import structlog

from core.transactions import AsyncUnitOfWork
from core.uploads.errors import EmptyUploadError
from core.uploads.ids import inbox_of
from core.uploads.ports import FileStorage, UploadFollowUps

__all__ = ["InboxService", "Received", "file_of"]

P = ParamSpec("P")
R = TypeVar("R")

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that came, and the task that is going to process it."""

    file_id: str
    task_id: str


class InboxService:
    """Receives files piece by piece. A piece is written in a thread, and none is held while the sender is slow."""

    def __init__(self, storage: FileStorage, follow_ups: UploadFollowUps, unit: AsyncUnitOfWork) -> None:
        self._storage = storage
        self._follow_ups = follow_ups
        self._unit = unit

    async def receive(self, pieces: AsyncIterable[bytes], task_id: str | None = None) -> Received:
        """Keep a file, and have it processed.

        A file whose sender breaks off, or whose processing cannot be asked for, is not kept.

        Args:
            pieces: its content.
            task_id: the task that is to process a file which comes again if nobody knows what became of it: it stays
                when the transaction may have been kept, and the next attempt takes its place. Its id is made of this
                one. Without, both are new.

        Raises:
            InvalidFileIdError: ``task_id`` makes no id of a file.
            EmptyUploadError: there was no content.
            StorageDeniedError: the service may not write where it has to.
            StorageUnavailableError: the storage is away, full, or failed in the middle.
            DatabaseUnavailableError: the database is away.
        """
        file_id = uuid4().hex if task_id is None else file_of(task_id)
        size = 0
        async with self._writing(inbox_of(file_id)) as write:
            async for piece in pieces:
                size += len(piece)
                await write(piece)
            if not size:
                msg = "the file has no content; nothing was kept"
                raise EmptyUploadError(msg)
        try:
            async with self._unit:
                asked = self._follow_ups.process(file_id, task_id)
        except BaseException:
            if task_id is None:
                await _beside(self._storage.delete, inbox_of(file_id))
            raise
        logger.info("upload received", file_id=file_id, size=size)
        return Received(file_id, asked)

    @asynccontextmanager
    async def _writing(self, path: str) -> AsyncGenerator[Callable[[bytes], Awaitable[object]]]:
        """The storage's own block, each step of it in a thread."""
        block = self._storage.write(path)
        write = await _beside(block.__enter__)
        try:
            yield lambda piece: _beside(write, piece)
        except BaseException as error:
            await _beside(block.__exit__, type(error), error, error.__traceback__)
            raise
        await _beside(block.__exit__, None, None, None)


def file_of(task_id: str) -> str:
    """The id of the file that a task of a given id is to process."""
    return task_id.replace("-", "")


async def _beside(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run it in a thread to its end, even if who waits for it is cancelled: what follows must not overtake it."""
    running = asyncio.ensure_future(asyncio.to_thread(call, *args, **kwargs))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait((running,))
        raise
