"""Which tasks were revoked, kept where workers that start later find it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celeriac.transport.server import RedisServer

__all__ = ["KEPT", "MOST", "Revocations"]

KEPT: Final = 7 * 24 * 3600.0
"""Seconds for which a revocation is remembered. A message that waits for longer runs after all."""
MOST: Final = 100_000
"""How many are remembered; more than that, and the oldest go first."""
_AT_ONCE: Final = 1000


class Revocations:
    """A sorted set on the server: id to the second at which it was revoked.

    Raises, from every method:
        redis.exceptions.RedisError: the server cannot be reached, or refused.
    """

    def __init__(self, server: RedisServer, clock: Callable[[], float] = time.time) -> None:
        self._server = server
        self._key = server.key("revoked")
        self._clock = clock

    def add(self, ids: Sequence[str]) -> None:
        """Remember these, and forget what is too old."""
        now = self._clock()
        for at in range(0, len(ids), _AT_ONCE):
            pairs = [part for each in ids[at : at + _AT_ONCE] for part in (now, each)]
            self._server.pipeline(
                [
                    ("ZADD", self._key, *pairs),
                    ("ZREMRANGEBYSCORE", self._key, "-inf", now - KEPT),
                    ("ZREMRANGEBYRANK", self._key, 0, -MOST - 1),
                    ("EXPIRE", self._key, int(KEPT)),
                ]
            )

    def since(self, moment: float = 0.0) -> list[str]:
        """Those that were revoked since a moment, in seconds since the epoch, the oldest first."""
        first = max(moment, self._clock() - KEPT)
        return [each.decode() for each in self._server.call("ZRANGEBYSCORE", self._key, first, "+inf")]

    def among(self, ids: Sequence[str]) -> set[str]:
        """Those of some tasks that were revoked."""
        if not ids:
            return set()
        scores = self._server.pipeline([("ZSCORE", self._key, each) for each in ids])
        return {each for each, score in zip(ids, scores, strict=True) if score is not None}
