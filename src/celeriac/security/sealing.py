"""Results that only those with a key can read: a serializer of Celery's, made for one set of keys."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from kombu import serialization
from kombu.utils.json import dumps, loads

from celeriac.exceptions import InvalidSetting

if TYPE_CHECKING:
    from celery import Celery
    from cryptography.fernet import MultiFernet

__all__ = ["keys_of", "seal_results"]

_SETTING = "result_encryption_keys"


def keys_of(text: str) -> list[str]:
    """The keys of a setting that has several, with commas between them."""
    return [key for part in text.split(",") if (key := part.strip())]


def seal_results(app: Celery, keys: list[str]) -> None:
    """Have an app store its results encrypted, and read no others.

    Fernet: AES-128 in CBC mode under an HMAC, with a random vector for each value, so a value cannot be read, changed
    or made without a key. Kombu knows serializers by name, for all apps of a process: this one is named after its keys.

    Raises:
        InvalidSetting: a key is none, or the library is not installed.
    """
    sealer = _sealer(keys)
    name = f"sealed-{hashlib.sha256(','.join(sorted(keys)).encode()).hexdigest()[:16]}"

    def seal(value: Any) -> bytes:
        return sealer.encrypt(dumps(value).encode())

    def unseal(payload: bytes | str) -> Any:
        from cryptography.fernet import InvalidToken  # noqa: PLC0415  comes by an extra

        try:
            return loads(sealer.decrypt(payload))
        except InvalidToken:
            msg = "it is not encrypted with a key that is known here"
            raise ValueError(msg) from None

    content_type = f"application/x-celeriac-{name}"
    register: Any = serialization.register  # typed for texts, and made for bytes as well
    register(name, seal, unseal, content_type=content_type, content_encoding="binary")
    app.conf.update(result_serializer=name, result_accept_content=[name])


def _sealer(keys: list[str]) -> MultiFernet:
    try:
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415  comes by an extra
    except ModuleNotFoundError:
        problem = "encrypting takes the extra: pip install 'celeriac[security]'"
    else:
        try:
            return MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            problem = "each key is 32 bytes in URL-safe base64, as `celeriac secret` makes them"
    # Outside of the `except`: its error may hold the key.
    raise InvalidSetting(setting=_SETTING, problem=problem)
