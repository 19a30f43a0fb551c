"""Waiting for results inside an event loop: its own selector watches the shared connection."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from celeriac.transport.results.subscription import Subscription
    from celeriac.transport.results.watch import Watch
    from celeriac.transport.results.wire import Wire

__all__ = ["LoopReaders"]

LOOK: Final = 0.25
"""Seconds between two looks at whether the server still answers."""


class _LoopReader:
    """One a loop: reads the connection while coroutines of this loop wait. All of it runs in the loop's thread."""

    def __init__(self, subscription: Subscription, loop: asyncio.AbstractEventLoop) -> None:
        self._subscription = subscription
        self._loop = loop
        self._wire: Wire | None = None
        self._count = 0
        self._timer: asyncio.TimerHandle | None = None
        self._connecting: threading.Thread | None = None

    async def wait(self, watch: Watch, seconds: float | None) -> list[tuple[bytes, Any]]:
        """As :meth:`Subscription.wait`, for a coroutine.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, or refused.
        """
        if watch.ripe:
            return watch.news()
        future = watch.future(self._loop)
        timer = None if seconds is None else self._loop.call_later(max(seconds, 0), _end, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
        return watch.news()

    def enter(self) -> None:
        """Another coroutine waits."""
        self._count += 1
        if self._count == 1:
            self._subscription.listen(self, self._changed)
            self._timer = self._loop.call_later(LOOK, self._look)
        if self._wire is None:
            self._refresh()

    def leave(self) -> int:
        """One waits no longer; gives how many still do."""
        self._count -= 1
        if not self._count:
            self._subscription.listen(self, None)
            self._forget()
            if self._timer is not None:
                self._timer.cancel()
        return self._count

    def _changed(self) -> None:
        """From whatever thread, under the subscription's lock."""
        try:
            self._loop.call_soon_threadsafe(self._refresh)
        except RuntimeError:  # the loop was closed
            return

    def _refresh(self) -> None:
        if not self._count:
            return
        wire = self._subscription.wire()
        self._forget()
        self._wire = wire
        if wire is not None:
            self._loop.add_reader(wire.fileno(), self._subscription.take)
        elif self._connecting is None or not self._connecting.is_alive():
            # A thread for once: all of connecting blocks, and whoever waits hears of it through the subscription.
            connect = self._subscription.connect
            self._connecting = threading.Thread(target=connect, name="celeriac-results-connect", daemon=True)
            self._connecting.start()

    def _forget(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            self._loop.remove_reader(wire.fileno())
            self._subscription.let_go(wire)

    def _look(self) -> None:
        self._timer = self._loop.call_later(LOOK, self._look)
        if self._wire is None:
            self._refresh()
        self._subscription.take()


class LoopReaders:
    """The readers of all loops in which somebody waits."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._of: dict[asyncio.AbstractEventLoop, _LoopReader] = {}

    @contextmanager
    def watching(self, watch: Watch) -> Generator[_LoopReader]:
        """Begin and end to wait, in the running loop."""
        loop = asyncio.get_running_loop()
        watch.bind(loop)
        reader = self._of.get(loop)
        if reader is None:
            reader = self._of[loop] = _LoopReader(self._subscription, loop)
        self._subscription.begin(watch)
        reader.enter()
        try:
            yield reader
        finally:
            self._subscription.end(watch)
            if not reader.leave():
                self._of.pop(loop, None)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
