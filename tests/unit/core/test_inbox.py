"""Files that come piece by piece, without a server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest

from core.transactions import DatabaseUnavailableError
from core.uploads.errors import EmptyUploadError
from core.uploads.inbox import InboxService
from infrastructure.storage.local import LocalStorage


class Office:
    """Transaction and what follows."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    def process(self, file_id: str, task_id: str | None = None) -> str:
        self.asked.append(file_id)
        return task_id or f"task-of-{file_id}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._error is not None:
            raise self._error


async def pieces(*content: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in content:
        await asyncio.sleep(0)
        if isinstance(piece, Exception):
            raise piece
        yield piece


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_a_file_lies_in_the_inbox_and_is_going_to_be_processed(tmp_path: Path) -> None:
    office = Office()
    received = asyncio.run(InboxService(LocalStorage(tmp_path), office, office).receive(pieces(b"some ", b"content")))
    assert (tmp_path / "inbox" / received.file_id).read_bytes() == b"some content"
    assert office.asked == [received.file_id]
    assert received.task_id == f"task-of-{received.file_id}"


@pytest.mark.parametrize("content", [(), (b"", b"")])
def test_what_is_empty_is_not_kept(tmp_path: Path, content: tuple[bytes, ...]) -> None:
    office = Office()
    with pytest.raises(EmptyUploadError, match="nothing was kept"):
        asyncio.run(InboxService(LocalStorage(tmp_path), office, office).receive(pieces(*content)))
    assert not files(tmp_path)
    assert not office.asked


def test_what_breaks_off_is_not_kept(tmp_path: Path) -> None:
    office = Office()
    with pytest.raises(ConnectionError):
        asyncio.run(InboxService(LocalStorage(tmp_path), office, office).receive(pieces(b"some ", ConnectionError())))
    assert not files(tmp_path)
    assert not office.asked


def test_what_nobody_is_going_to_process_is_not_kept(tmp_path: Path) -> None:
    office = Office(DatabaseUnavailableError("away"))
    with pytest.raises(DatabaseUnavailableError):
        asyncio.run(InboxService(LocalStorage(tmp_path), office, office).receive(pieces(b"content")))
    assert not files(tmp_path)


def test_who_is_cancelled_in_the_middle_of_a_step_waits_for_it_and_leaves_nothing(tmp_path: Path) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    class Slow(LocalStorage):
        def _append(self, path, file, piece) -> None:
            begun.set()
            assert goes_on.wait(10)
            super()._append(path, file, piece)

    async def main() -> None:
        office = Office()
        receiving = asyncio.create_task(InboxService(Slow(tmp_path), office, office).receive(pieces(b"content")))
        await asyncio.to_thread(begun.wait)
        receiving.cancel()
        await asyncio.sleep(0)
        assert files(tmp_path)
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await receiving

    asyncio.run(main())
    assert not files(tmp_path)
