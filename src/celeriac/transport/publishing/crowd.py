"""What coroutines send at the same moment travels together: one thread, one write, and the answers in their order.

To hand work to a thread and back costs more than to send a message. So while one batch is on its way, those who want
to send something meanwhile gather for the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from redis.exceptions import RedisError

from celeriac.exceptions import BrokerUnavailable
from celeriac.transport.link import packed
from celeriac.transport.publishing.sender import FIRST_SHARE, Attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celeriac.transport.link import Link
    from celeriac.transport.publishing.letter import Letter
    from celeriac.transport.publishing.sender import Sender

__all__ = ["Crowd"]

_MOST: Final = 256
"""Messages that travel together."""
_LARGEST: Final = 1 << 20
"""Bytes after which no more are added."""


class _Waiting(NamedTuple):
    letter: Letter
    asked: float
    future: asyncio.Future[None]


class Crowd:
    """Sends for the coroutines of one event loop.

    Args:
        sender: whose connections, breaker and budget count.
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._gathered: deque[_Waiting] = deque()
        self._busy = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="celeriac-crowd")

    async def send(self, letter: Letter) -> None:
        """Append one message to a list; the loop goes on meanwhile.

        Who is cancelled here does not hear whether the message was sent.

        Raises:
            BrokerUnavailable: it was not taken in time; says whether it may have arrived.
            BrokerFull: there is no memory left for it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._gathered.append(_Waiting(letter, time.monotonic(), future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._go)  # once all that are ready now have come
        await future

    def _go(self) -> None:
        batch: list[_Waiting] = []
        size = 0
        while self._gathered and len(batch) < _MOST and size < _LARGEST:
            waiting = self._gathered.popleft()
            size += len(waiting.letter.payload)
            batch.append(waiting)
        self._executor.submit(self._carry, batch)

    def _settle(self, batch: Sequence[_Waiting], outcomes: Sequence[Exception | None]) -> None:
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if waiting.future.done():  # cancelled
                continue
            if outcome is None:
                waiting.future.set_result(None)
            else:
                waiting.future.set_exception(outcome)
        if self._gathered:
            self._go()
        else:
            self._busy = False

    # -- in the thread

    def _carry(self, batch: Sequence[_Waiting]) -> None:
        try:
            outcomes = _Carrier(self._sender, batch).carry()
        except Exception as error:  # noqa: BLE001  theirs who wait
            outcomes = [error] * len(batch)
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            batch[0].future.get_loop().call_soon_threadsafe(self._settle, batch, outcomes)


class _Carrier:
    """Sends one batch, and keeps what became of each of its messages."""

    def __init__(self, sender: Sender, batch: Sequence[_Waiting]) -> None:
        self._sender = sender
        self._batch = batch
        self._outcomes: list[Exception | None] = [None] * len(batch)

    def carry(self) -> list[Exception | None]:
        """For each message ``None``, or why it was not taken."""
        left = [at for at in range(len(self._batch)) if self._admitted(at)]
        link = self._sender.borrow()
        try:
            # The first one connects and declares what the others need as well.
            while left and not self._ready(link, left):
                self._alone(link, left.pop(0), None, uncertain=False)
                left = [at for at in left if self._admitted(at)]
            if left:
                self._together(link, left)
        finally:
            self._sender.give_back(link)
        return self._outcomes

    def _admitted(self, at: int) -> bool:
        waiting, sender = self._batch[at], self._sender
        left = waiting.asked + sender.budget - time.monotonic()
        try:
            sender.enter(waiting.letter.task, left)
        except BrokerUnavailable as error:
            self._outcomes[at] = error
            return False
        return True

    def _ready(self, link: Link, places: Sequence[int]) -> bool:
        return link.alive() and not any(self._sender.due(self._batch[at].letter.binding) for at in places)

    def _together(self, link: Link, places: Sequence[int]) -> None:
        parts: list[bytes] = []
        for at in places:
            letter = self._batch[at].letter
            parts.append(packed(("LPUSH", letter.key, letter.payload)))
            if letter.event is not None:
                parts.append(letter.event)
        sender = self._sender
        left = min(self._batch[at].asked for at in places) + sender.budget - time.monotonic()
        try:
            replies = iter(
                link.send_packed(b"".join(parts), len(parts), max(min(sender.budget * FIRST_SHARE, left), 0.001))
            )
        except RedisError as error:
            uncertain = link.uncertain
            for at in places:
                self._alone(link, at, error, uncertain=uncertain)
            return
        again: list[int] = []
        for at in places:
            if isinstance(next(replies), Exception):
                again.append(at)
            if self._batch[at].letter.event is not None:
                next(replies)  # what becomes of the event changes nothing
        if len(again) < len(places):
            sender.breaker.succeeded()
        for at in again:
            self._alone(link, at, None, uncertain=False)

    def _alone(self, link: Link, at: int, broken: RedisError | None, *, uncertain: bool) -> None:
        letter, asked, _ = self._batch[at]
        attempt = Attempt(letter, started=asked, deadline=asked + self._sender.budget)
        try:
            self._sender.insist(link, attempt, broken, uncertain=uncertain)
        except BrokerUnavailable as error:
            self._outcomes[at] = error
