"""Waiting for results, and reading them, over the process's one subscription."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import ResultSet

from celeriac.transport.results.awaited import Awaited, leaves_of
from celeriac.transport.results.celerys import CelerysRedisBackend
from celeriac.transport.results.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from celeriac.transport.results.loops import LoopReaders
    from celeriac.transport.results.subscription import Subscription

__all__ = ["Waits"]

GRACE = 0.5
"""Seconds that the server has for its first answer, where the caller would wait for less."""


class Waits(CelerysRedisBackend):
    """The waiting half of the result backend."""

    subscription: Subscription
    loops: LoopReaders

    # -- for TaskResult

    def settle(self, raw: Any, timeout: float | None = None) -> dict[str, str] | None:
        """Wait until the result is there, or can never be; its objects then hold what came.

        Args:
            raw: a result of Celery's: of a task, a chain or a group.
            timeout: seconds.

        Returns:
            ``None``, or after the timeout the last states that were heard of, by task.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, or refused.
            kombu.exceptions.DecodeError: what is stored is no result.
        """
        awaited = Awaited(raw)
        for _ in self._arrivals(awaited, timeout, None, None):
            pass
        return awaited.outcome()

    async def asettle(self, raw: Any, timeout: float | None = None) -> dict[str, str] | None:  # noqa: ASYNC109  as settle()
        """The same for coroutines, without a thread.

        Raises:
            redis.exceptions.RedisError: and the others of :meth:`settle`.
        """
        awaited = Awaited(raw)
        if awaited.over:
            return None
        tasks = {self.get_key_for_task(task): task for task in awaited.ids}
        watch = Watch(list(tasks), subscribed=True)
        end = None if timeout is None else watch.since + timeout
        with self.loops.watching(watch) as reader:
            while not awaited.over:
                left = _left(watch, end)
                if left is not None and left <= 0:
                    self._refuse_unanswered(watch)
                    break
                for key, payload in await reader.wait(watch, left):
                    awaited.take(tasks[key], self.decode_result(payload))
        return awaited.outcome()

    def look(self, raw: Any) -> dict[str, dict[str, Any]]:
        """What is stored now of every task of a result, in one round trip, by task; ended ones are kept by its objects.

        Raises:
            redis.exceptions.RedisError: and the others of :meth:`settle`.
        """
        awaited = Awaited(raw, propagate=False, parents=False)
        found: dict[str, dict[str, Any]] = {
            leaf.id: cached for leaf in leaves_of(raw) if (cached := getattr(leaf, "_cache", None))
        }
        tasks = {self.get_key_for_task(task): task for task in awaited.ids}
        if tasks:
            for key, payload in self._stored(list(tasks)).items():
                meta = found[tasks[key]] = self.decode_result(payload)
                awaited.take(tasks[key], meta)
        return found

    def _stored(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        return self.subscription.read(keys)

    # -- for Celery's own result objects

    def _arrivals(
        self,
        awaited: Awaited,
        timeout: float | None,
        on_message: Callable[[Any], None] | None,
        interval: float | None,
    ) -> Iterator[list[Any]]:
        """The results that end, as they do; nothing each time that ``interval`` seconds pass."""
        if awaited.over:
            return
        tasks = {self.get_key_for_task(task): task for task in awaited.ids}
        watch = Watch(list(tasks), subscribed=True)
        end = None if timeout is None else watch.since + timeout
        self.subscription.begin(watch)
        try:
            while not awaited.over:
                left = _left(watch, end)
                if left is not None and left <= 0:
                    self._refuse_unanswered(watch)
                    return
                if interval is not None:
                    left = interval if left is None else min(left, interval)
                ended: list[Any] = []
                for key, payload in self.subscription.wait(watch, left):
                    ended.extend(awaited.take(tasks[key], self.decode_result(payload), on_message))
                yield ended
        finally:
            self.subscription.end(watch)

    def _refuse_unanswered(self, watch: Watch) -> None:
        if not watch.answered:
            raise self.subscription.problem

    def wait_for_pending(  # noqa: PLR0917  Celery's signature
        self,
        result: Any,
        callback: Callable[..., Any] | None = None,
        propagate: bool = True,  # noqa: FBT001, FBT002  Celery's signature
        timeout: float | None = None,
        interval: float | None = None,
        on_interval: Callable[[], Any] | None = None,
        on_message: Callable[[Any], None] | None = None,
        **_: Any,
    ) -> Any:
        """What Celery's ``AsyncResult.get`` calls.

        Raises:
            celery.exceptions.TimeoutError: it did not come in time.
        """
        deque(self.iter_native([result], timeout, interval, on_message=on_message, on_interval=on_interval), maxlen=0)
        return result.maybe_throw(callback=callback, propagate=propagate)

    def iter_native(  # noqa: PLR0917  Celery's signature
        self,
        result: Any,
        timeout: float | None = None,
        interval: float | None = None,
        no_ack: bool = True,  # noqa: FBT001, FBT002  Celery's signature
        on_message: Callable[[Any], None] | None = None,
        on_interval: Callable[[], Any] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Each member's id and what was stored for it, as they end; for a group among them, its list of results.

        Raises:
            celery.exceptions.TimeoutError: they did not all come in time.
        """
        del no_ack
        self._ensure_not_eager()
        several: Any = result
        members: list[Any] = list((several if isinstance(result, list) else several.results) or ())
        awaited = Awaited(members, propagate=False, parents=False)
        pause = (interval or 0.5) if on_interval is not None else None
        missing = _Missing(members)
        yield from missing.complete()
        for ended in self._arrivals(awaited, timeout, on_message, pause):
            yield from missing.without(ended)
            if on_interval is not None:
                on_interval()
        if not awaited.over:
            msg = "The operation timed out."
            raise CeleryTimeoutError(msg)


class _Missing:
    """How many tasks each member of a set still waits for."""

    def __init__(self, members: list[Any]) -> None:
        self._members = members
        self._count: dict[int, int] = {}
        self._owner: dict[int, Any] = {}
        for member in members:
            open_leaves = [leaf for leaf in leaves_of(member) if not getattr(leaf, "_cache", None)]
            self._count[id(member)] = len(open_leaves)
            self._owner.update((id(leaf), member) for leaf in open_leaves)

    def complete(self) -> Iterator[tuple[str, Any]]:
        """Those that wait for none."""
        for member in self._members:
            if not self._count[id(member)]:
                yield _outcome(member)

    def without(self, ended: list[Any]) -> Iterator[tuple[str, Any]]:
        """Those that wait for none any more, now that these have ended."""
        for leaf in ended:
            member = self._owner[id(leaf)]
            self._count[id(member)] -= 1
            if not self._count[id(member)]:
                yield _outcome(member)


def _outcome(member: Any) -> tuple[str, Any]:
    return member.id, member.results if isinstance(member, ResultSet) else member._cache  # noqa: SLF001  as Celery's own


def _left(watch: Watch, end: float | None) -> float | None:
    """Seconds until the end; the server may always take a moment to answer at all."""
    if end is None:
        return None
    return (end if watch.answered else max(end, watch.since + GRACE)) - time.monotonic()
