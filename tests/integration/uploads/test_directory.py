"""What a file system has in store for those who write files."""

from __future__ import annotations

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.uploads.errors import NotAFileError, StorageDeniedError, StorageUnavailableError
from infrastructure.storage.local import LocalStorage

NOBODY = 65534


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path


@pytest.fixture
def storage(directory: Path) -> LocalStorage:
    return LocalStorage(directory)


def put(storage: LocalStorage, path: str, content: bytes) -> None:
    with storage.write(path) as write:
        write(content)


def get(storage: LocalStorage, path: str) -> bytes:
    with storage.read(path) as pieces:
        return b"".join(pieces)


@contextmanager
def an_ordinary_user() -> Generator[None]:
    """Root may do anything: become somebody who may not."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(me)


@contextmanager
def no_room_beyond(size: int) -> Generator[None]:
    """Files of this process may not become larger: the system refuses as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_no_file_is_neither_read_nor_replaced(directory: Path, storage: LocalStorage) -> None:
    (directory / "inbox" / "directory").mkdir()
    (directory / "inbox" / "link").symlink_to("/etc/passwd")
    os.mkfifo(directory / "inbox" / "pipe")
    for name in ("directory", "link", "pipe"):
        with pytest.raises(NotAFileError, match=f"inbox/{name} in .* is no file"):
            get(storage, f"inbox/{name}")
        assert storage.size(f"inbox/{name}") is None
    with pytest.raises(NotAFileError):
        put(storage, "inbox/directory", b"content")
    with pytest.raises(NotAFileError):
        storage.delete("inbox/directory")


def test_what_is_no_file_is_not_left_open(directory: Path, storage: LocalStorage) -> None:
    (directory / "inbox" / "directory").mkdir()
    before = _descriptors()
    for _ in range(5):
        with pytest.raises(NotAFileError):
            get(storage, "inbox/directory")
    assert _descriptors() == before


def test_a_file_in_place_of_a_directory_is_told(directory: Path, storage: LocalStorage) -> None:
    (directory / "files").write_bytes(b"")
    with pytest.raises(NotAFileError):
        put(storage, "files/a", b"content")


def test_who_may_not_is_told_whom_to_ask(directory: Path, storage: LocalStorage) -> None:
    put(storage, "inbox/a", b"content")
    (directory / "inbox" / "a").chmod(0)
    (directory / "inbox").chmod(0o500)
    with an_ordinary_user():
        with pytest.raises(StorageDeniedError, match="Give it to the user that the service runs as"):
            get(storage, "inbox/a")
        with pytest.raises(StorageDeniedError):
            put(storage, "inbox/b", b"content")
        with pytest.raises(StorageDeniedError):
            storage.delete("inbox/a")
    (directory / "inbox").chmod(0o700)


def test_a_disk_that_is_full_leaves_nothing_half_written(directory: Path, storage: LocalStorage) -> None:
    put(storage, "inbox/a", b"before")
    with no_room_beyond(1 << 20), pytest.raises(StorageUnavailableError, match=r"could not be .* written: File too"):
        put(storage, "inbox/a", bytes(2 << 20))
    assert [path.name for path in (directory / "inbox").iterdir()] == ["a"]
    assert get(storage, "inbox/a") == b"before"


def test_what_a_killed_process_left_is_written_over(directory: Path, storage: LocalStorage) -> None:
    """There is no end to files if each attempt leaves another one."""
    with pytest.raises(ChildProcessError):
        _die_while_writing(storage)
    assert [path.name for path in (directory / "inbox").iterdir()] == [".a.part"]
    put(storage, "inbox/a", b"content")
    assert [path.name for path in (directory / "inbox").iterdir()] == ["a"]
    assert get(storage, "inbox/a") == b"content"


def test_of_two_who_write_the_same_file_the_second_comes_again_later(directory: Path) -> None:
    first, second = LocalStorage(directory), LocalStorage(directory)
    with first.write("inbox/a") as write:
        write(b"content")
        with pytest.raises(StorageUnavailableError, match="is being written by another process right now"):
            put(second, "inbox/a", b"other")
    assert get(second, "inbox/a") == b"content"
    put(second, "inbox/a", b"other")
    assert get(first, "inbox/a") == b"other"


def test_who_reads_goes_on_reading_what_it_began(storage: LocalStorage) -> None:
    put(storage, "inbox/a", b"content")
    with storage.read("inbox/a") as pieces:
        put(storage, "inbox/a", b"other")
        storage.delete("inbox/a")
        assert b"".join(pieces) == b"content"


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _die_while_writing(storage: LocalStorage) -> None:
    if (child := os.fork()) == 0:
        with storage.write("inbox/a") as write:
            write(b"half")
            os.kill(os.getpid(), 9)
    _, status = os.waitpid(child, 0)
    if status:
        raise ChildProcessError(status)
