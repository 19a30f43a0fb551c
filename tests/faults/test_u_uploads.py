"""The worker is killed while it takes a file in: one file and one record are left, and the task ends once."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import select
from tests.faults.harness.forms import forms
from tests.faults.harness.household import Household
from tests.faults.harness.waiting import until
from tests.kit.storages import KEY, MEGABYTE

from infrastructure.database.models import UploadRow

WAIT = 60
LARGE = 256 << 20
"""Bytes whose copy takes long enough to be seen."""


@pytest.fixture
def files(scenario) -> Path:
    path = Path(scenario.directory, "files")
    (path / "inbox").mkdir(parents=True)
    return path


@pytest.fixture
def house(scenario, server, files) -> Generator[Household]:
    with Household(scenario, server.url, {"STORAGE_URL": str(files)}) as house:
        yield house


def everything(files: Path) -> list[str]:
    return sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())


def rows(house: Household) -> list[tuple[str, str]]:
    with house.database.reading() as session:
        return [(row.file_id, row.sha256) for row in session.scalars(select(UploadRow))]


@pytest.mark.proves("S000-13")
@pytest.mark.parametrize("victim", forms(["group"], wide=["child"]))
def test_kill_9_in_the_middle_of_a_file_leaves_it_whole_in_the_end(house, files, victim):
    with (files / "inbox" / "a").open("wb") as file:
        file.write(b"begin")
        file.truncate(LARGE)
    half = files / "files" / ".a.part"
    result = house.registry.process_upload.delay("a")
    until(lambda: half.exists() and half.stat().st_size > 1 << 20, timeout=WAIT, what="half a file")
    getattr(house.worker, f"kill_{victim}")()
    assert not rows(house)
    assert result.get(timeout=WAIT) == {"file_id": "a", "processed": True}
    assert everything(files) == ["files/a"]
    with (files / "files" / "a").open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    assert rows(house) == [("a", sha256)]


@pytest.mark.proves("S000-13")
def test_kill_9_between_the_file_and_its_record_leaves_one_of_each(house, files):
    (files / "inbox" / "a").write_bytes(b"content")
    with house.nobody_else_writes():
        result = house.registry.process_upload.delay("a")
        until((files / "files" / "a").exists, timeout=WAIT, what="the file")
        house.worker.kill_group()
    assert result.get(timeout=WAIT) == {"file_id": "a", "processed": True}
    assert everything(files) == ["files/a"]
    assert rows(house) == [("a", hashlib.sha256(b"content").hexdigest())]


@pytest.mark.wide
def test_kill_9_in_the_middle_of_a_file_leaves_it_whole_in_a_bucket_too(scenario, server):
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    boto3: Any = importlib.import_module("boto3")  # it has no types
    key = {"aws_access_key_id": KEY[0], "aws_secret_access_key": KEY[1]}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1", **key)
    client.create_bucket(Bucket="uploads")
    client.put_object(Bucket="uploads", Key="inbox/a", Body=MEGABYTE * 40)
    env = {
        "STORAGE_URL": "s3://uploads",
        "STORAGE_ENDPOINT": f"http://{host}:{port}",
        "STORAGE_ACCESS_KEY_ID": KEY[0],
        "STORAGE_SECRET_ACCESS_KEY": KEY[1],
    }
    with Household(scenario, server.url, env) as house:
        result = house.registry.process_upload.delay("a")
        until(lambda: client.list_multipart_uploads(Bucket="uploads").get("Uploads"), timeout=WAIT, what="a part")
        house.worker.kill_group()
        assert result.get(timeout=WAIT) == {"file_id": "a", "processed": True}
        keys = [found["Key"] for found in client.list_objects_v2(Bucket="uploads")["Contents"]]
        assert keys == ["files/a"]
        assert rows(house) == [("a", hashlib.sha256(MEGABYTE * 40).hexdigest())]
    moto.stop()
