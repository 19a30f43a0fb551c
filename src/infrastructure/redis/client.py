"""The one Redis client of a process."""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr
from redis import Redis
from redis.sentinel import Sentinel

__all__ = ["redis_client"]

_PATIENCE: Final[dict[str, Any]] = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}
"""Seconds to connect, and to wait for an answer."""
_SENTINEL_PORT: Final = 26379


def redis_client(url: SecretStr, master: str = "mymaster") -> Redis:
    """A client whose pool all use cases share; connects at first use.

    Args:
        url: ``redis://``, ``rediss://``, ``redis+socket://`` or ``sentinel://``, several of those with ``;`` between.
        master: which server sentinels are asked for.
    """
    said = url.get_secret_value()
    if said.startswith("sentinel://"):
        return _by_sentinels(said, master)
    return Redis.from_url(said.replace("redis+socket://", "unix://", 1), **_PATIENCE)


def _by_sentinels(url: str, master: str) -> Redis:
    each = [urlsplit(one.strip()) for one in url.split(";")]
    first = each[0]
    options: dict[str, Any] = {"db": int(first.path.strip("/") or 0), **_PATIENCE}
    if first.password:
        options["password"] = unquote(first.password)
    sentinels = [(one.hostname or "localhost", one.port or _SENTINEL_PORT) for one in each]
    make: Any = Sentinel  # redis-py left it without types
    return cast("Redis", make(sentinels, **_PATIENCE).master_for(master, **options))
