"""What every storage does, in a directory and in a bucket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from tests.kit.storages import MEGABYTE, name_of

from core.uploads import FileStorage
from core.uploads.errors import FileMissingError


def put(storage: FileStorage, path: str, *pieces: bytes) -> None:
    with storage.write(path) as write:
        for piece in pieces:
            write(piece)


def get(storage: FileStorage, path: str) -> bytes:
    with storage.read(path) as pieces:
        return b"".join(pieces)


def test_what_was_written_is_read(storage: FileStorage) -> None:
    put(storage, "inbox/a", b"some ", b"content")
    assert get(storage, "inbox/a") == b"some content"
    assert storage.size("inbox/a") == 12


def test_a_file_may_be_empty(storage: FileStorage) -> None:
    put(storage, "inbox/a")
    assert get(storage, "inbox/a") == b""
    assert storage.size("inbox/a") == 0


def test_a_later_file_takes_the_place_of_an_earlier_one(storage: FileStorage) -> None:
    put(storage, "inbox/a", b"longer than the other")
    put(storage, "inbox/a", b"short")
    assert get(storage, "inbox/a") == b"short"


def test_a_file_that_is_deleted_is_gone_and_may_be_deleted_again(storage: FileStorage) -> None:
    put(storage, "inbox/a", b"content")
    storage.delete("inbox/a")
    storage.delete("inbox/a")
    assert storage.size("inbox/a") is None
    with pytest.raises(FileMissingError, match="there is no file inbox/a in"), storage.read("inbox/a"):
        pytest.fail("there is nothing to read")


def test_until_the_end_of_the_block_there_is_no_file(storage: FileStorage) -> None:
    with storage.write("inbox/a") as write:
        write(b"content")
        assert storage.size("inbox/a") is None
    assert storage.size("inbox/a") == 7


@pytest.mark.parametrize("pieces", [1, 20])
def test_a_block_that_fails_leaves_what_was_there(storage: FileStorage, pieces: int) -> None:
    put(storage, "inbox/a", b"before")

    def fail() -> None:
        with storage.write("inbox/a") as write:
            for _ in range(pieces):
                write(MEGABYTE)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert get(storage, "inbox/a") == b"before"
    storage.delete("inbox/a")
    with pytest.raises(KeyError):
        fail()
    assert storage.size("inbox/a") is None


def test_memory_does_not_grow_with_the_file(storage: FileStorage) -> None:
    """Of a process of its own: the server keeps its files in this one."""
    command = [sys.executable, "-m", "tests.kit.storages", name_of(storage), "16", "96"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    small, large = subprocess.run(command, check=True, capture_output=True, env=env).stdout.split()
    assert int(large) - int(small) < 40 * len(MEGABYTE)


def test_a_file_may_be_written_from_one_thread_after_another(storage: FileStorage) -> None:
    with storage.write("inbox/a") as write:
        for piece in (b"a", b"b", b"c"):
            thread = threading.Thread(target=write, args=(piece,))
            thread.start()
            thread.join()
    assert get(storage, "inbox/a") == b"abc"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../a", "inbox/../../a", "inbox//a", ".a", "inbox/a\0"])
def test_no_path_leads_out_of_it(storage: FileStorage, path: str) -> None:
    with pytest.raises(ValueError, match="is no path within the storage"):
        put(storage, path, b"content")
    with pytest.raises(ValueError, match="is no path within the storage"):
        get(storage, path)
    with pytest.raises(ValueError, match="is no path within the storage"):
        storage.delete(path)
