"""A directory, and a bucket on a server that speaks S3's protocol."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from sqlalchemy import select
from tests.kit.house import House, house
from tests.kit.storages import KEY, s3_of

from celeriac.testing.servers import redis_server
from core.configs.settings import StorageSettings
from core.uploads import FileStorage
from infrastructure.database.database import Database
from infrastructure.database.models import UploadRow
from infrastructure.storage.local import LocalStorage
from infrastructure.storage.s3 import S3Storage

LARGEST = 8 << 20
"""Bytes that may be sent over HTTP."""


@pytest.fixture(scope="session")
def s3() -> Generator[str]:
    """The URL of the server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def client(s3: str) -> Any:
    """Amazon's own client, which sees what we wrote."""
    boto3: Any = importlib.import_module("boto3")  # it has no types
    key = {"aws_access_key_id": KEY[0], "aws_secret_access_key": KEY[1]}
    return boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **key)


@pytest.fixture
def bucket(client: Any) -> str:
    """A bucket that is empty."""
    name = f"uploads-{uuid4().hex}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture
def s3_storage(s3: str, bucket: str) -> S3Storage:
    return s3_of(s3, bucket)


@pytest.fixture(params=["directory", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> FileStorage:
    """Each kind of storage."""
    if request.param == "directory":
        return LocalStorage(tmp_path / "files")
    made: S3Storage = request.getfixturevalue("s3_storage")
    return made


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("uploads")
    (path / "files" / "inbox").mkdir(parents=True)
    return path


@pytest.fixture(scope="module")
def inbox(directory: Path) -> Path:
    return directory / "files" / "inbox"


@pytest.fixture(scope="module")
def home(directory: Path) -> Generator[House]:
    url = str(directory / "files")
    said: dict[str, Any] = {"storage_settings": StorageSettings(url=url, max_upload=LARGEST)}
    with redis_server() as redis, house(redis, f"sqlite:///{directory / 'service.db'}", **said) as running:
        running.env["STORAGE_URL"] = url
        with running.worker(concurrency=1):
            yield running


def row_of(home: House, file_id: str) -> UploadRow | None:
    database = Database(SecretStr(home.database), production=False)
    try:
        with database.reading() as session:
            return session.scalars(select(UploadRow).where(UploadRow.file_id == file_id)).one_or_none()
    finally:
        database.close()
