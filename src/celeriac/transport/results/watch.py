"""One waiter, and the keys it waits for."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

__all__ = ["Watch"]


class Watch:
    """What has come for one waiter. Filled by whoever reads the connection, emptied by the waiter.

    Args:
        keys: what it wants to know.
        subscribed: whether it wants to hear of changes too, or only what is stored now.
    """

    __slots__ = (
        "_future",
        "_loop",
        "_news",
        "_signal",
        "_thread",
        "answered",
        "keys",
        "since",
        "subscribed",
        "unanswered",
    )

    def __init__(self, keys: Sequence[bytes], *, subscribed: bool) -> None:
        self.keys = keys
        self.subscribed = subscribed
        self.since = time.monotonic()
        self.unanswered = 1
        """Replies still to come of what is stored now."""
        self.answered = False
        """Whether the server has answered at all."""
        self._news: deque[tuple[bytes, Any]] = deque()
        self._signal = threading.Lock()
        self._signal.acquire()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._future: asyncio.Future[None] | None = None
        self._thread = 0

    @property
    def ripe(self) -> bool:
        """Whether there is anything for the waiter to do."""
        return bool(self._news) or (not self.subscribed and not self.unanswered)

    # -- for the one who reads

    def put(self, key: bytes, payload: Any) -> None:
        """Something came: a payload, or an error."""
        self._news.append((key, payload))
        self.wake()

    def answer(self, keys: Sequence[bytes], reply: Any) -> None:
        """What the server has stored under these keys."""
        self.unanswered -= 1
        self.answered = True
        several: Any = reply  # isinstance() would make it a list of unknowns
        payloads: list[Any] = several if isinstance(reply, list) else [several]
        self._news.extend((key, payload) for key, payload in zip(keys, payloads, strict=False) if payload is not None)
        if self.ripe:
            self.wake()

    def wake(self) -> None:
        """Let the waiter look again."""
        if self._loop is None:
            if self._signal.locked():
                self._signal.release()
        elif self._thread == threading.get_ident():
            self._arrived()
        else:
            try:
                self._loop.call_soon_threadsafe(self._arrived)
            except RuntimeError:  # its loop was closed
                return

    def _arrived(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    # -- for the one who waits

    def park(self, seconds: float) -> None:
        """Block this thread until woken, at most so long."""
        self._signal.acquire(timeout=max(seconds, 0))

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The waiter is a coroutine of this loop."""
        self._loop = loop
        self._thread = threading.get_ident()

    def future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """What the coroutine awaits until woken."""
        self._future = loop.create_future()
        return self._future

    def news(self) -> list[tuple[bytes, Any]]:
        """Everything that came since the last look.

        Raises:
            Exception: what the connection or the server answered instead of a payload.
        """
        found: list[tuple[bytes, Any]] = []
        while self._news:
            key, payload = self._news.popleft()
            if isinstance(payload, Exception):
                raise payload
            found.append((key, payload))
        return found
