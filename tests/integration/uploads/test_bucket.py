"""What a server of S3's protocol has in store for those who write files."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.faults.harness.proxy import TcpProxy
from tests.kit.storages import MEGABYTE, s3_of

from core.uploads.errors import StorageDeniedError, StorageUnavailableError
from infrastructure.storage.s3 import S3Storage

PARTS = 20
"""Megabytes: more than one part."""


@pytest.fixture
def proxy(s3: str) -> Generator[TcpProxy]:
    port = urlsplit(s3).port
    assert port is not None
    with TcpProxy(port) as proxy:
        yield proxy


def put(storage: S3Storage, path: str, megabytes: int) -> None:
    with storage.write(path) as write:
        for _ in range(megabytes):
            write(MEGABYTE)


def get(storage: S3Storage, path: str) -> int:
    with storage.read(path) as pieces:
        return sum(map(len, pieces))


def test_files_have_the_prefix_and_are_what_others_see(client: Any, bucket: str, s3_storage: S3Storage) -> None:
    put(s3_storage, "inbox/a", 1)
    assert client.get_object(Bucket=bucket, Key="of/mine/inbox/a")["Body"].read() == MEGABYTE


def test_without_a_prefix_paths_are_keys(client: Any, s3: str, bucket: str) -> None:
    put(s3_of(s3, bucket, prefix=""), "inbox/a", 1)
    assert client.head_object(Bucket=bucket, Key="inbox/a")["ContentLength"] == len(MEGABYTE)


def test_parts_that_were_sent_are_dropped_with_the_rest(client: Any, bucket: str, s3_storage: S3Storage) -> None:
    def fail() -> None:
        with s3_storage.write("inbox/a") as write:
            for _ in range(PARTS):
                write(MEGABYTE)
            assert client.list_multipart_uploads(Bucket=bucket)["Uploads"]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert "Uploads" not in client.list_multipart_uploads(Bucket=bucket)
    assert "Contents" not in client.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("megabytes", [1, PARTS])
def test_a_bucket_that_does_not_exist_is_told(s3: str, megabytes: int) -> None:
    storage = s3_of(s3, "no-such-bucket")
    with pytest.raises(StorageDeniedError, match="there is no bucket for s3://no-such-bucket/of/mine: make it"):
        put(storage, "inbox/a", megabytes)
    with pytest.raises(StorageDeniedError, match="there is no bucket for s3://no-such-bucket/of/mine: make it"):
        get(storage, "inbox/a")


@pytest.mark.parametrize("megabytes", [1, PARTS])
def test_a_key_that_may_not_is_told(s3: str, s3_storage: S3Storage, megabytes: int) -> None:
    httpx.post(f"{s3}/moto-api/reset-auth", content=b"0")  # from here on, keys count
    try:
        for use in (lambda: put(s3_storage, "inbox/a", megabytes), lambda: get(s3_storage, "inbox/a")):
            with pytest.raises(StorageDeniedError, match="Check STORAGE_ACCESS_KEY_ID"):
                use()
        with pytest.raises(StorageDeniedError):
            s3_storage.size("inbox/a")
        with pytest.raises(StorageDeniedError):
            s3_storage.delete("inbox/a")
    finally:
        httpx.post(f"{s3}/moto-api/reset-auth", content=b"1000000")


@pytest.mark.parametrize("megabytes", [1, PARTS])
def test_a_server_that_is_away_is_worth_another_try(proxy: TcpProxy, bucket: str, megabytes: int) -> None:
    storage = s3_of(f"http://127.0.0.1:{proxy.port}", bucket)
    proxy.refuse()
    with pytest.raises(StorageUnavailableError, match="could not be read or written"):
        put(storage, "inbox/a", megabytes)
    with pytest.raises(StorageUnavailableError):
        get(storage, "inbox/a")
    with pytest.raises(StorageUnavailableError):
        storage.delete("inbox/a")
    with pytest.raises(StorageUnavailableError):
        storage.size("inbox/a")


def test_a_process_that_is_forked_after_the_first_use_is_refused(s3_storage: S3Storage) -> None:
    """It would wait for ever for threads that it does not have."""
    put(s3_storage, "inbox/a", 1)
    if (child := os.fork()) == 0:
        try:
            s3_storage.size("inbox/a")
        except RuntimeError as error:
            os._exit(7 if "before this process was forked" in str(error) else 1)
        os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


def test_a_download_that_breaks_off_goes_on_where_it_broke(proxy: TcpProxy, bucket: str) -> None:
    storage = s3_of(f"http://127.0.0.1:{proxy.port}", bucket)
    put(storage, "inbox/a", PARTS)
    proxy.cut_after(3 << 20)
    with storage.read("inbox/a") as pieces:
        assert b"".join(pieces) == MEGABYTE * PARTS


def test_a_server_that_goes_away_in_the_middle_is_told_and_leaves_nothing(
    proxy: TcpProxy, client: Any, bucket: str
) -> None:
    storage = s3_of(f"http://127.0.0.1:{proxy.port}", bucket)
    put(storage, "inbox/a", PARTS)

    def copy() -> None:
        with storage.read("inbox/a") as pieces, storage.write("files/a") as write:
            for piece in pieces:
                write(piece)
                proxy.refuse()

    with pytest.raises(StorageUnavailableError, match="could not be read or written"):
        copy()
    keys = [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert keys == ["of/mine/inbox/a"]
