"""Storage: where files are kept."""

from __future__ import annotations

from pathlib import Path

from core.configs.settings import Settings, StorageSettings
from core.uploads import FileStorage
from infrastructure.storage.local import LocalStorage
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_storage"]


def register_storage(container: Container) -> None:
    """Register the storage that ``STORAGE_URL`` names. It touches nothing before its first use."""
    container.register(FileStorage, _storage, lifetime=Lifetime.SINGLETON)


def _storage(settings: Settings) -> FileStorage:
    said = settings.storage_settings
    return LocalStorage(Path(said.url)) if said.bucket is None else _bucket(said, said.bucket)


def _bucket(said: StorageSettings, bucket: str) -> FileStorage:
    from infrastructure.storage.s3 import S3Storage  # noqa: PLC0415 - a library that a directory does without

    return S3Storage(bucket, said.prefix, region=said.region, endpoint=said.endpoint, credentials=said.credentials)
