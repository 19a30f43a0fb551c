"""Refusing new messages before Redis is full, so that workers keep the room that they need to drain it."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from celery._state import task_join_will_block
from redis.exceptions import RedisError, ResponseError

from celeriac.exceptions import BrokerFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.transport.link import Link

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
        broker: what errors call the server.
        clock: seconds that only go forward.
    """

    def __init__(self, high_water: float, broker: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._high_water = high_water
        self._broker = broker
        self._clock = clock
        self._look_at = clock()
        self._reason: str | None = None

    @property
    def due(self) -> bool:
        """Whether it is time for another look, or the last one found no room."""
        return self._reason is not None or self._clock() >= self._look_at

    def check(self, link: Link, task: str) -> None:
        """Let a publish pass, or not; asks the server where the last answer is too old.

        Args:
            link: a connection to the server. One that is not open is not opened for this.
            task: what is to be published.

        Raises:
            BrokerFull: memory is at the high-water mark.
        """
        if task_join_will_block():  # Celery's mark of a process that runs tasks
            return
        if self._clock() >= self._look_at and link.alive():
            self._look(link)
        if self._reason is not None:
            raise BrokerFull(task=task, broker=self._broker, seconds=0.0, reason=self._reason, uncertain=False)

    def _look(self, link: Link) -> None:
        self._look_at = self._clock() + LOOK_EVERY
        try:
            told = link.call("INFO", "memory", timeout=PATIENCE)
        except ResponseError:  # forbidden: nothing is known, and nobody is refused
            told = b""
        except RedisError:  # the publish itself will say what is wrong
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
