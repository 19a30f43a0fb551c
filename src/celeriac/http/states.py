"""What the result backend holds of a task, now and from now on: over one connection a process, however many listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from celeriac.http.offload import Offload
from celeriac.transport.results.watch import Watch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from celery import Celery

__all__ = ["States"]

MOST_WAITING: Final = 64
"""Reports that wait for a listener which reads slowly; older ones give way to newer."""
_LOOK_EVERY: Final = 0.5
"""Seconds between two looks where the backend cannot tell."""


class _Bounded(Watch):
    """A watch whose news cannot pile up."""

    __slots__ = ()

    def put(self, key: bytes, payload: Any) -> None:
        while len(self._news) >= MOST_WAITING:
            self._news.popleft()
        super().put(key, payload)


class States:
    """Reads states, and follows them.

    Raises, from every method:
        redis.exceptions.RedisError: the result backend cannot be reached, or refused.
    """

    def __init__(self, app: Celery) -> None:
        backend: Any = app.backend
        self._backend = backend
        self._shared = hasattr(backend, "loops") and not app.conf.task_always_eager
        self._ask = Offload("The result backend")

    async def read(self, task_id: str) -> dict[str, Any] | None:
        """What is stored of a task, as Celery's meta; ``None`` where nothing is."""
        if not self._shared:
            return await self._ask(self._meta, task_id)
        backend = self._backend
        watch = Watch([backend.get_key_for_task(task_id)], subscribed=False)
        found: bytes | None = None
        with backend.loops.watching(watch) as reader:
            while watch.unanswered or watch.ripe:
                for _, payload in await reader.wait(watch, None):
                    found = payload
                if not watch.unanswered:
                    break
        return None if found is None else backend.decode_result(found)

    async def follow(self, task_id: str, pause: float) -> AsyncGenerator[dict[str, Any] | None]:
        """What is stored now and whatever is stored later; ``None`` each time that nothing came for ``pause`` seconds.

        Ends when its reader closes it.
        """
        if not self._shared:
            async for meta in self._polled(task_id, pause):
                yield meta
            return
        backend = self._backend
        watch = _Bounded([backend.get_key_for_task(task_id)], subscribed=True)
        with backend.loops.watching(watch) as reader:
            while True:
                news = await reader.wait(watch, pause)
                for _, payload in news:
                    yield backend.decode_result(payload)
                if not news:
                    yield None

    def _meta(self, task_id: str) -> dict[str, Any] | None:
        meta: dict[str, Any] = self._backend.get_task_meta(task_id, cache=False)
        return None if meta.get("status") == "PENDING" else meta

    async def _polled(self, task_id: str, pause: float) -> AsyncGenerator[dict[str, Any] | None]:
        """For backends that can only be asked again and again."""
        last: dict[str, Any] | None = None
        quiet = 0.0
        while True:
            meta = await self._ask(self._meta, task_id)
            if meta is not None and meta != last:
                last, quiet = meta, 0.0
                yield meta
            elif quiet >= pause:
                quiet = 0.0
                yield None
            await anyio.sleep(_LOOK_EVERY)
            quiet += _LOOK_EVERY
