"""Options of ours about secrets: what is sealed, and what is signed."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

__all__ = ["SecurityOptions"]


class SecurityOptions(BaseModel, defer_build=True):
    """Keys, with commas between them. The first is used from now on; the others still open what it did not close."""

    result_encryption_keys: SecretStr | None = None
    """Results are stored encrypted, and no others are read: each key 32 bytes in URL-safe base64."""

    task_signing_keys: SecretStr | None = None
    """Messages are signed, and no others are run: each key any text of 32 characters or more."""
