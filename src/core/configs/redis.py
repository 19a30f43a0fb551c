"""The Redis server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from core.configs.environment import FromEnvironment

__all__ = ["RedisSettings"]

_REDIS_SCHEMES = ("redis", "rediss", "sentinel", "redis+socket")
_EXAMPLE = "write it like redis://:PASSWORD@HOST:6379/0"


class RedisSettings(FromEnvironment):
    """The Redis server that carries tasks and keeps their results."""

    redis_url: SecretStr
    """``REDIS_URL``, required."""

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            """Without values: the environment gives them, so that a type checker asks for none."""

    @field_validator("redis_url")
    @classmethod
    def _leads_to_a_server(cls, url: SecretStr) -> SecretStr:
        if (problem := _problem(url.get_secret_value())) is not None:
            raise ValueError(problem)
        return url


def _problem(url: str) -> str | None:
    scheme = url.partition("://")[0]
    if scheme not in _REDIS_SCHEMES:
        return f"its scheme is none of {', '.join(_REDIS_SCHEMES)}; {_EXAMPLE}"
    if scheme == "redis+socket":
        return None
    try:
        parts = urlsplit(url.partition(";")[0])
        reachable = parts.port is None or parts.port > 0
    except ValueError:
        return f"its port is no number from 1 to 65535 (percent-encode a password with / # or ?); {_EXAMPLE}"
    if not parts.hostname or not reachable:
        return f"it names no host, or port 0; {_EXAMPLE}"
    return None if re.fullmatch(r"/?\d*/?", parts.path) else f"its database is no number; {_EXAMPLE}"
