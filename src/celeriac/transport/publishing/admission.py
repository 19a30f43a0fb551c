"""Refusing new messages before Redis is full, so that workers keep the room that they need to drain it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from celery._state import task_join_will_block  # type: ignore[attr-defined]  # unknown to the stubs
from redis.exceptions import RedisError, ResponseError

from celeriac.exceptions import BrokerFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.transport.link import Link
    from celeriac.transport.publishing.sender import Sender

__all__ = ["Admission"]

LOOK_EVERY: Final = 1.0
"""Seconds for which a measurement counts."""
LOOK_FOR_A_LIMIT_EVERY: Final = 30.0
"""The same where the server has no limit, or does not tell."""
PATIENCE: Final = 0.25
"""Seconds that a measurement may take."""
_FIELDS: Final = re.compile(rb"^(used_memory|mem_not_counted_for_evict|maxmemory):(\d+)", re.MULTILINE)


class Admission:
    """Asks the server, once a second at most, how much of its ``maxmemory`` is used.

    Who publishes inside a worker is always admitted: retries, callbacks and the steps of a workflow are what empties a
    full broker. They have the rest of the memory, up to where the server itself refuses.

    Args:
        high_water: the part of ``maxmemory`` from which on messages are refused.
        sender: whose connections it uses, and whose server it is.
        clock: seconds that only go forward.
    """

    def __init__(self, high_water: float, sender: Sender, clock: Callable[[], float] = time.monotonic) -> None:
        self._high_water = high_water
        self._sender = sender
        self._clock = clock
        self._look_at = clock()
        self._reason: str | None = None

    def __call__(self) -> None:
        """Let a publish pass, or not; asks the server where the last answer is too old.

        Raises:
            BrokerFull: memory is at the high-water mark.
        """
        if task_join_will_block():  # Celery's mark of a process that runs tasks
            return
        if self._clock() >= self._look_at:
            link = self._sender.borrow()
            try:
                # Where nothing is known, no connection is opened for this: the publish itself will.
                if self._reason is not None or link.alive():
                    self._look(link)
            finally:
                self._sender.give_back(link)
        if self._reason is not None:
            where = self._sender.address
            raise BrokerFull(task="a message", broker=where, seconds=0.0, reason=self._reason, uncertain=False)

    def _look(self, link: Link) -> None:
        self._look_at = self._clock() + LOOK_EVERY
        try:
            told = link.call("INFO", "memory", timeout=PATIENCE)
        except ResponseError:  # forbidden: nothing is known, and nobody is refused
            told = b""
        except RedisError:  # the publish itself will say what is wrong
            self._reason = None
            return
        found = {name: int(value) for name, value in _FIELDS.findall(_text(told))}
        most = found.get(b"maxmemory", 0)
        if not most:
            self._look_at = self._clock() + LOOK_FOR_A_LIMIT_EVERY
            self._reason = None
            return
        used = found[b"used_memory"] - found.get(b"mem_not_counted_for_evict", 0)
        self._reason = f"{used / most:.0%} of its memory is used" if used >= most * self._high_water else None


def _text(told: Any) -> bytes:
    return told if isinstance(told, bytes) else str(told).encode()
