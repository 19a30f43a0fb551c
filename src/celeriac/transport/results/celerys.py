"""What of Celery's Redis backends is built on here; the published types of Celery lag years behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import celery.backends.redis as _redis

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PART_RETURN", "CelerysRedisBackend", "CelerysSentinelBackend"]

_module: Any = _redis
PART_RETURN: str = _module.CHORD_PART_RETURN_LUA
"""The script that counts a part of a chord."""

if TYPE_CHECKING:

    class CelerysRedisBackend:
        """``celery.backends.redis.RedisBackend``."""

        app: Any
        compression: Any
        connparams: dict[str, Any]
        decode: Callable[[Any], Any]
        encode_result: Callable[[Any, str], Any]
        expires: int | None
        failure_expires: int | None
        get_key_for_task: Callable[[Any], bytes]
        thread_safe: bool
        url: str | None
        _MAX_STR_VALUE_SIZE: int
        _create_client: Callable[..., Any]
        _ensure_not_eager: Callable[[], None]
        _transport_options: dict[str, Any]

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

        def decode_result(self, payload: Any) -> Any:
            """The meta of a task."""

        def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> Any:
            """A part of a chord has ended."""

    class CelerysSentinelBackend(CelerysRedisBackend):
        """``celery.backends.redis.SentinelBackend``."""

else:
    CelerysRedisBackend = _redis.RedisBackend
    CelerysSentinelBackend = _redis.SentinelBackend
