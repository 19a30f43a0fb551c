"""Celery's Redis result backend with fewer round trips: one to store a result, none while nobody waits for it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import states
from celery.backends.redis import RedisBackend, SentinelBackend

__all__ = ["LazyRedisBackend", "LazySentinelBackend"]

# What Celery does in two round trips, with a gap between them in which another worker may write.
_STORE = """
local succeeded = ARGV[3]
if redis.call('GETRANGE', KEYS[1], 0, #succeeded - 1) == succeeded then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
if tonumber(ARGV[2]) > 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
"""
_SUCCEEDED = '{"status": "SUCCESS"'
"""How Celery's JSON of a success begins."""


class LazyRedisBackend(RedisBackend):
    """For ``redis://`` and ``rediss://``. Keys and values are Celery's, so either can read what the other wrote.

    Celery subscribes to every result as its task is sent, in case somebody waits for it: a second round trip, on a
    second connection, and a publish that fails because results are out of reach. ``get()`` subscribes too, and then
    reads what was stored before, so nothing is missed.

    Celery reads before it writes, so that a success is never overwritten. Here one script on the server does both.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Subscribe to nothing."""

    def _store_result(
        self: Any, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        if self.serializer != "json" or self.compression:  # then a success cannot be told by its first letters
            celerys: Any = RedisBackend
            return celerys._store_result(self, task_id, result, state, traceback, request, **kwargs)  # noqa: SLF001
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        expires = self.failure_expires if state == states.FAILURE else self.expires
        stored = self.get_key_for_task(task_id), self.encode({**meta, "task_id": task_id}), int(expires or 0)
        self.ensure(self._store, stored)
        return result

    def _store(self: Any, key: Any, payload: str, expires: int) -> None:
        self._script(keys=[key], args=[payload, expires, _SUCCEEDED], client=self.client)

    @cached_property
    def _script(self: Any) -> Any:
        return self.client.register_script(_STORE)

    def disconnect(self: Any) -> None:
        """Close every connection of this process. The next use opens new ones."""
        self.result_consumer.stop()
        self.result_consumer.subscribed_to.clear()  # else a result that goes later connects again, to unsubscribe
        if "client" in vars(self):  # made at the first use
            self.client.connection_pool.disconnect()


class LazySentinelBackend(LazyRedisBackend, SentinelBackend):
    """For ``sentinel://``."""
