"""Uploads on every storage and every database."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, select

from core.errors import UnavailableError
from core.transactions import DatabaseUnavailableError
from core.uploads import FileStorage, Upload
from core.uploads.errors import FileMissingError
from core.uploads.service import UploadService
from infrastructure.database.database import Database
from infrastructure.database.models import UploadRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from infrastructure.database.uploads import SqlUploads
from infrastructure.storage.media_types import PureMagicMediaTypes

TEXT = b"hello, world\n"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Database]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("database_url")
    database = Database(SecretStr(url), production=False)
    with SqlUnitOfWork(database) as unit:
        unit.session.execute(delete(UploadRow))
    yield database
    database.close()


def service_on(storage: FileStorage, database: Database) -> UploadService:
    unit = SqlUnitOfWork(database)
    return UploadService(storage, PureMagicMediaTypes(), SqlUploads(unit, database), unit)


def put(storage: FileStorage, path: str, content: bytes) -> None:
    with storage.write(path) as write:
        write(content)


def rows(database: Database) -> list[Upload]:
    with database.reading() as session:
        found = session.scalars(select(UploadRow)).all()
    return [Upload(row.file_id, row.sha256, row.media_type, row.size, row.location, row.processed) for row in found]


def test_it_is_kept_and_recorded_once_however_often_it_is_asked_for(storage: FileStorage, database: Database) -> None:
    put(storage, "inbox/a", TEXT)
    first = service_on(storage, database).process("a")
    assert (first.sha256, first.size) == (hashlib.sha256(TEXT).hexdigest(), len(TEXT))
    assert (first.media_type, first.location) == ("text/plain", "files/a")
    assert service_on(storage, database).process("a") == first
    assert rows(database) == [first]
    assert (storage.size("inbox/a"), storage.size("files/a")) == (None, len(TEXT))


def test_what_comes_again_takes_the_place_of_what_came_before(storage: FileStorage, database: Database) -> None:
    for content in (TEXT, TEXT * 2):
        put(storage, "inbox/a", content)
        upload = service_on(storage, database).process("a")
    assert upload.size == 2 * len(TEXT)
    assert rows(database) == [upload]


def test_of_many_who_process_the_same_file_at_once_none_harms_another(storage: FileStorage, database: Database) -> None:
    """As when a message is delivered again while the first worker still lives."""
    put(storage, "inbox/a", TEXT * 100_000)

    def attempt(_: int) -> str:
        try:
            return service_on(storage, database).process("a").sha256
        except UnavailableError:
            return "later"

    with ThreadPoolExecutor(8) as pool:
        outcomes = set(pool.map(attempt, range(8)))
    sha256 = hashlib.sha256(TEXT * 100_000).hexdigest()
    assert outcomes <= {sha256, "later"}
    assert service_on(storage, database).process("a").sha256 == sha256
    assert [row.sha256 for row in rows(database)] == [sha256]
    with storage.read("files/a") as pieces:
        assert hashlib.sha256(b"".join(pieces)).hexdigest() == sha256


def test_without_a_database_the_file_stays_in_the_inbox(storage: FileStorage, tmp_path: Path) -> None:
    put(storage, "inbox/a", TEXT)
    away = Database(SecretStr("postgresql://nobody@127.0.0.1:1/none"), production=False)
    with pytest.raises(DatabaseUnavailableError):
        service_on(storage, away).process("a")
    assert storage.size("inbox/a") == len(TEXT)


def test_what_never_came_leaves_no_record(storage: FileStorage, database: Database) -> None:
    with pytest.raises(FileMissingError):
        service_on(storage, database).process("a")
    assert not rows(database)
