"""How many tasks ended lately, and how: counted where results are stored, by queue and minute, in the same batch."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celeriac.transport.link import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celeriac.transport.results.entry import Entry
    from celeriac.transport.server import RedisServer

__all__ = ["Ended", "OutcomeCounter", "OutcomeCounts", "outcome"]

HOUR: Final = 3600
_MINUTE: Final = 60
_KEPT: Final = 3 * HOUR
_LETTERS: Final = {"SUCCESS": "s", "FAILURE": "f", "REVOKED": "r"}


def outcome(state: str, request: Any) -> str:
    """What is counted of a result that ends its task: how it ended, and in which queue."""
    delivery: Any = getattr(request, "delivery_info", None) or {}
    queue: Any = delivery.get("routing_key")
    return f"{_LETTERS.get(state, 'r')}:{queue or ''}"


class OutcomeCounter:
    """Makes the commands that count a batch: one a queue and outcome. A hash an hour holds them, and then expires.

    Args:
        prefix: what stands before our keys.
        clock: seconds since the epoch.
    """

    def __init__(self, prefix: str, clock: Callable[[], float] = time.time) -> None:
        self._prefix = prefix
        self._clock = clock
        self._expiring = -1

    def commands(self, entries: Iterable[Entry]) -> tuple[bytes, int]:
        """The commands, and how many replies they have. What is counted once is not counted again."""
        counts: Counter[str] = Counter()
        for entry in entries:
            if entry.outcome:
                counts[entry.outcome] += 1
                entry.outcome = ""
        if not counts:
            return b"", 0
        hour, second = divmod(int(self._clock()), HOUR)
        key = f"{self._prefix}celeriac.outcomes:{hour}"
        parts = [packed(("HINCRBY", key, f"{second // _MINUTE}:{said}", count)) for said, count in counts.items()]
        if hour != self._expiring:
            self._expiring = hour
            parts.append(packed(("EXPIRE", key, _KEPT)))
        return b"".join(parts), len(parts)


class Ended(NamedTuple):
    """How many tasks of one queue ended within one minute."""

    minute: int
    """Minutes since the epoch."""
    queue: str
    outcome: str
    """``s`` for success, ``f`` for failure, ``r`` for revoked."""
    tasks: int


class OutcomeCounts:
    """Reads what was counted.

    Raises, from every method:
        redis.exceptions.RedisError: the server cannot be reached, or refused.
    """

    def __init__(self, server: RedisServer, clock: Callable[[], float] = time.time) -> None:
        self._server = server
        self._clock = clock

    def ended(self) -> list[Ended]:
        """All that ended within the last hour and the one before, minute by minute."""
        hour = int(self._clock()) // HOUR
        hours = (hour - 1, hour)
        replies = self._server.pipeline([("HGETALL", self._server.key(f"outcomes:{each}")) for each in hours])
        found: list[Ended] = []
        for each, reply in zip(hours, replies, strict=True):
            table: Any = reply
            pairs: list[tuple[bytes, bytes]] = list(table.items()) if isinstance(reply, dict) else []
            if isinstance(reply, list):
                pairs = list(zip(table[::2], table[1::2], strict=True))
            for field, count in pairs:
                minute, how, queue = field.decode().split(":", 2)
                found.append(Ended(each * 60 + int(minute), queue, how, int(count)))
        return found

    def last_hour(self) -> tuple[int, int]:
        """How many tasks succeeded and how many failed within the last 60 minutes, this one included."""
        first = int(self._clock()) // _MINUTE - 59
        lately = [each for each in self.ended() if each.minute >= first]
        succeeded = sum(each.tasks for each in lately if each.outcome == "s")
        return succeeded, sum(each.tasks for each in lately if each.outcome == "f")
