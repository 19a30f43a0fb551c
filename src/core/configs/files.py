"""Files: exports, tables that workflows read, uploads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["DataSettings", "ExportsSettings", "StorageSettings"]


class ExportsSettings(FromEnvironment):
    """Where exported data is kept, and for how long."""

    model_config = SettingsConfigDict(env_prefix="EXPORTS_")

    directory: Path = Path(".data/exports")
    """``EXPORTS_DIRECTORY``: of this machine, or one that every worker sees."""
    lifetime: Annotated[float, Field(gt=0, le=315_360_000)] = 604_800
    """``EXPORTS_LIFETIME``: seconds after which a file is removed; a week unless said."""


class DataSettings(FromEnvironment):
    """Which tables workflows read."""

    model_config = SettingsConfigDict(env_prefix="DATA_")

    directory: Path = Path(".data/tables")
    """``DATA_DIRECTORY``: where they are, as CSV files; none elsewhere is ever read."""
    max_bytes: Annotated[int, Field(gt=0)] = 1_000_000
    """``DATA_MAX_BYTES``: of one table. Its rows travel in messages, and a broker is no place for files."""


class StorageSettings(FromEnvironment):
    """Where files are kept."""

    model_config = SettingsConfigDict(env_prefix="STORAGE_")

    url: str = ".data/files"
    """``STORAGE_URL``: a directory, or a bucket of S3's as ``s3://bucket/prefix``."""
    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+/?$")] | None = None
    """``STORAGE_ENDPOINT``: the S3 server's URL, where it is not Amazon's: ``http://minio:9000``."""
    region: str | None = None
    """``STORAGE_REGION``: where the bucket is."""
    access_key_id: str | None = None
    """``STORAGE_ACCESS_KEY_ID``: a key's id. Without a key the machine's own role counts, or variables ``AWS_*``."""
    secret_access_key: SecretStr | None = None
    """``STORAGE_SECRET_ACCESS_KEY``: that key's secret."""
    max_upload: Annotated[int, Field(gt=0)] = 1 << 30
    """``STORAGE_MAX_UPLOAD``: bytes that a file sent over HTTP may have."""

    @field_validator("url")
    @classmethod
    def _names_a_place(cls, url: str) -> str:
        scheme, separator, rest = url.partition("://")
        if separator and (scheme != "s3" or not re.fullmatch(r"[a-z0-9][a-z0-9.-]+(/[\w./-]*)?", rest)):
            msg = "write a directory, or a bucket like s3://bucket/prefix"
            raise ValueError(msg)
        return url

    @model_validator(mode="after")
    def _whole_key(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            missing = "STORAGE_ACCESS_KEY_ID" if self.access_key_id is None else "STORAGE_SECRET_ACCESS_KEY"
            msg = f"a key has an id and a secret; {missing} is not set"
            raise ValueError(msg)
        return self

    @property
    def bucket(self) -> str | None:
        """The bucket's name; ``None`` where files are kept in a directory."""
        return self.url.removeprefix("s3://").partition("/")[0] if self.url.startswith("s3://") else None

    @property
    def prefix(self) -> str:
        """What every path in the bucket begins with."""
        return self.url.removeprefix("s3://").partition("/")[2].strip("/")

    @property
    def credentials(self) -> tuple[str, SecretStr] | None:
        """Id and secret of the key, if one is set."""
        if self.access_key_id is None or self.secret_access_key is None:
            return None
        return self.access_key_id, self.secret_access_key
