"""Celery's Redis result backend, which asks for a result only when somebody waits for it."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend, SentinelBackend

__all__ = ["LazyRedisBackend", "LazySentinelBackend"]


class _SubscribesWhenAwaited:
    """Leaves a result alone until it is asked for.

    Celery subscribes to every result as its task is sent, in case somebody waits for it: a second round trip, on a
    second connection, and a publish that fails because results are out of reach. ``get()`` subscribes too, and then
    reads what was stored before, so nothing is missed.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do nothing."""

    def disconnect(self: Any) -> None:
        """Close every connection of this process. The next use opens new ones."""
        self.result_consumer.stop()
        if "client" in vars(self):  # made at the first use
            self.client.connection_pool.disconnect()


class LazyRedisBackend(_SubscribesWhenAwaited, RedisBackend):
    """For ``redis://`` and ``rediss://``."""


class LazySentinelBackend(_SubscribesWhenAwaited, SentinelBackend):
    """For ``sentinel://``."""
