"""``process_upload`` on a worker of the service."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from celery import Celery
from tests.integration.uploads.conftest import row_of
from tests.kit.house import House

from celeriac.exceptions import InvalidArguments
from core.uploads.errors import (
    EmptyUploadError,
    FileMissingError,
    InvalidFileIdError,
    NotAFileError,
    TruncatedUploadError,
)

WAIT = 20


def archive(path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "content" * 1000)
    return path.read_bytes()


@pytest.mark.proves("S000-13")
def test_it_answers_which_file_was_processed_and_keeps_what_it_is(home: House, inbox: Path) -> None:
    content = archive(inbox / "file123")
    for _ in range(2):
        result = home.registry.process_upload.delay("file123")
        assert result.get(timeout=WAIT) == {"file_id": "file123", "processed": True}
    row = row_of(home, "file123")
    assert row is not None
    assert (row.sha256, row.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert row.media_type == "application/zip"
    assert (inbox.parent / row.location).read_bytes() == content
    assert not (inbox / "file123").exists()


@pytest.mark.proves("S000-13")
def test_it_is_called_by_name_as_the_source_does(home: House, inbox: Path) -> None:
    (inbox / "by-name").write_bytes(b"content")
    task = home.container.resolve(Celery).send_task("process_upload", args=["by-name"])
    assert task.get(timeout=WAIT) == {"file_id": "by-name", "processed": True}


def test_what_cannot_be_processed_is_told_at_once_and_stays(home: House, inbox: Path, tmp_path: Path) -> None:
    (inbox / "empty").write_bytes(b"")
    (inbox / "cut").write_bytes(archive(tmp_path / "a.zip")[:-30])
    (inbox / "directory").mkdir()
    refused = {
        "never-came": (FileMissingError, "no file came under the id 'never-came'"),
        "empty": (EmptyUploadError, "^upload 'empty' is empty; it stays in the inbox until"),
        "cut": (TruncatedUploadError, "upload 'cut' was cut off: it begins as a ZIP archive, whose end is missing"),
        "directory": (NotAFileError, "inbox/directory in .* is no file"),
        "../service.db": (InvalidFileIdError, "^'../service.db' is no id of a file"),
        "/etc/passwd": (InvalidFileIdError, "is no id of a file"),
        "a\0b": (InvalidFileIdError, "is no id of a file"),
        "": (InvalidFileIdError, "'' is no id of a file"),
        "x" * 10_000: (InvalidFileIdError, "is no id of a file"),
    }
    for file_id, (error, text) in refused.items():
        result = home.registry.process_upload.delay(file_id)
        with pytest.raises(error, match=text):
            result.get(timeout=WAIT)
        assert result.state == "FAILURE"
        assert row_of(home, file_id) is None
    assert (inbox / "cut").exists()
    assert not list((inbox.parent / "files").glob("*cut*"))


def test_an_id_is_a_text(home: House) -> None:
    with pytest.raises(InvalidArguments, match="file_id: Input should be a valid string"):
        home.registry.process_upload.delay(17)  # type: ignore[arg-type]
