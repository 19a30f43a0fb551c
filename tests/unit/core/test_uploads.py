"""Taking files out of the inbox, without a directory, a bucket or a database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Self

import pytest

from core.uploads import Upload
from core.uploads.errors import (
    EmptyUploadError,
    FileMissingError,
    InvalidFileIdError,
    StorageUnavailableError,
    TruncatedUploadError,
)
from core.uploads.ids import inbox_of
from core.uploads.scan import Scan
from core.uploads.service import UploadService

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40 + b"IEND\xaeB`\x82"
PDF = b"%PDF-1.7\n" + b"1 0 obj\n" * 20 + b"%%EOF\n"
ZIP = b"PK\x03\x04" + b"\0" * 40 + b"PK\x05\x06" + b"\0" * 18


class Drawer(dict[str, bytes]):
    """Storage, media types, records and transaction at once; notes what is done, and fails where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, Upload] = {}
        self.done: list[str] = []
        self.fails_at: str | None = None

    def _do(self, what: str) -> None:
        if what == self.fails_at:
            raise StorageUnavailableError(what)
        self.done.append(what)

    @contextmanager
    def read(self, path: str) -> Generator[Iterator[bytes]]:
        if path not in self:
            raise FileMissingError(path)
        yield iter([self[path][at : at + 7] for at in range(0, len(self[path]), 7)])

    @contextmanager
    def write(self, path: str) -> Generator[Callable[[bytes], object]]:
        pieces: list[bytes] = []
        yield pieces.append
        self._do("copy")
        self[path] = b"".join(pieces)

    def size(self, path: str) -> int | None:
        return len(self[path]) if path in self else None

    def delete(self, path: str) -> None:
        self._do("empty")
        self.pop(path, None)

    def identify(self, head: bytes) -> str:
        return f"test/{head[:4].decode()}"

    def find(self, file_id: str) -> Upload | None:
        return self.records.get(file_id)

    def save(self, upload: Upload) -> None:
        self._do("record")
        self.records[upload.file_id] = upload

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def drawer() -> Drawer:
    return Drawer()


@pytest.fixture
def service(drawer: Drawer) -> UploadService:
    return UploadService(drawer, drawer, drawer, drawer)


def test_a_file_is_copied_then_recorded_then_the_inbox_is_emptied(drawer: Drawer, service: UploadService) -> None:
    drawer["inbox/a"] = b"some content"
    upload = service.process("a")
    assert drawer.done == ["copy", "record", "empty"]
    assert drawer == {"files/a": b"some content"}
    assert drawer.records == {"a": upload}
    assert upload.sha256 == hashlib.sha256(b"some content").hexdigest()
    assert (upload.size, upload.media_type, upload.location) == (12, "test/some", "files/a")
    assert datetime.now(UTC) >= upload.processed


def test_again_is_the_same(drawer: Drawer, service: UploadService) -> None:
    drawer["inbox/a"] = b"some content"
    assert service.process("a") == service.process("a")
    assert drawer.done == ["copy", "record", "empty"]


@pytest.mark.parametrize("step", ["copy", "record", "empty"])
def test_who_is_stopped_at_any_step_begins_again_and_comes_to_the_same_end(
    drawer: Drawer, service: UploadService, step: str
) -> None:
    drawer["inbox/a"] = b"some content"
    drawer.fails_at = step
    with pytest.raises(StorageUnavailableError):
        service.process("a")
    drawer.fails_at = None
    upload = service.process("a")
    assert drawer == {"files/a": b"some content"}
    assert drawer.records == {"a": upload}


def test_what_comes_later_under_the_same_id_takes_its_place(drawer: Drawer, service: UploadService) -> None:
    drawer["inbox/a"] = b"old"
    service.process("a")
    drawer["inbox/a"] = b"newer"
    assert service.process("a").size == 5
    assert drawer == {"files/a": b"newer"}


def test_a_file_that_never_came_is_missing(service: UploadService) -> None:
    with pytest.raises(FileMissingError, match="no file came under the id 'a': there is neither inbox/a"):
        service.process("a")


def test_a_file_that_vanished_from_the_storage_is_missing(drawer: Drawer, service: UploadService) -> None:
    drawer["inbox/a"] = b"some content"
    service.process("a")
    drawer.clear()
    with pytest.raises(FileMissingError, match="was processed, but files/a in the storage is not the file it was"):
        service.process("a")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", EmptyUploadError),
        *((whole[:-cut], TruncatedUploadError) for whole in (PNG, PDF, ZIP) for cut in (20, len(whole) - 8)),
    ],
)
def test_what_is_empty_or_cut_off_stays_in_the_inbox_and_nowhere_else(
    drawer: Drawer, service: UploadService, content: bytes, error: type[Exception]
) -> None:
    drawer["inbox/a"] = content
    with pytest.raises(error, match="'a'"):
        service.process("a")
    assert drawer == {"inbox/a": content}
    assert not drawer.done


@pytest.mark.parametrize("whole", [PNG, PDF, ZIP, ZIP + b"c" * 65_535, b"\xff\xd8\xff\xe0", b"x"])
def test_what_is_whole_or_says_nothing_of_its_end_is_taken(
    drawer: Drawer, service: UploadService, whole: bytes
) -> None:
    drawer["inbox/a"] = whole
    drawer.identify = lambda head: "a/b"  # type: ignore[method-assign]
    assert service.process("a").size == len(whole)


@pytest.mark.parametrize(
    "file_id",
    ["", ".", "..", "../a", "a/b", "/etc/passwd", "a\0b", ".part", "-rf", "a b", "ä", "a\n", "x" * 129, "a\\b", "~"],
)
def test_what_is_no_id_is_refused(drawer: Drawer, service: UploadService, file_id: str) -> None:
    with pytest.raises(InvalidFileIdError, match="is no id of a file"):
        service.process(file_id)
    assert not drawer.done


@pytest.mark.parametrize("file_id", ["file123", "a", "x" * 128, "0c6d.tar.gz", "A_b-c", "a..b"])
def test_ids_lead_into_the_inbox(file_id: str) -> None:
    assert inbox_of(file_id) == f"inbox/{file_id}"


@pytest.mark.parametrize("piece", [1, 7, 8192, 66_000, 1 << 20])
def test_a_scan_sees_the_same_whatever_the_pieces(piece: int) -> None:
    content = PNG[:-8] + bytes(range(256)) * 800 + PNG[-8:]
    scan = Scan()
    for at in range(0, len(content), piece):
        scan.feed(content[at : at + piece])
    assert (scan.size, scan.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert scan.head == content[:8192]
    assert scan.cut_off is None
