"""Storages by a name that other processes understand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from core.uploads import FileStorage
from infrastructure.storage.local import LocalStorage
from infrastructure.storage.s3 import S3Storage

KEY = ("testing", "testing")
MEGABYTE = bytes(range(256)) * 4096


def s3_of(url: str, bucket: str, prefix: str = "of/mine") -> S3Storage:
    return S3Storage(bucket, prefix, region="us-east-1", endpoint=url, credentials=(KEY[0], SecretStr(KEY[1])))


def name_of(storage: FileStorage) -> str:
    if isinstance(storage, LocalStorage):
        return str(storage._directory)
    assert isinstance(storage, S3Storage)
    config: Any = storage._store.config
    return f"{config['endpoint']} {config['bucket']} {storage._store.prefix}"


def reopened(name: str) -> FileStorage:
    url, _, rest = name.partition(" ")
    return s3_of(url, *rest.split(" ")) if rest else LocalStorage(Path(name))


def memory_of_a_copy(storage: FileStorage, megabytes: int) -> int:
    """The most that this process held while it copied a file of that size."""
    most = 0
    with storage.write("inbox/a") as write:
        for _ in range(megabytes):
            write(MEGABYTE)
    with storage.read("inbox/a") as pieces, storage.write("files/a") as write:
        for piece in pieces:
            write(piece)
            most = max(most, psutil.Process().memory_info().rss)
    assert storage.size("files/a") == megabytes * len(MEGABYTE)
    return most


if __name__ == "__main__":
    _storage = reopened(sys.argv[1])
    print(*(memory_of_a_copy(_storage, int(size)) for size in sys.argv[2:]))
