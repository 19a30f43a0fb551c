"""How often a caller may ask: counted in Redis, so that all processes of a service count together."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from celeriac.exceptions import TooManyRequests
from celeriac.tasks.policies import RateLimit
from celeriac.transport.link import Script

if TYPE_CHECKING:
    from celeriac.security.callers import Caller
    from celeriac.security.server import Server

__all__ = ["Admission", "Rates"]

logger = logging.getLogger(__name__)

# The generic cell rate algorithm (ITU-T I.371) with a burst of a whole period: one number a caller, by the server's
# clock. Answers: whether it is admitted, how many are left, us until the next is free, us until all are.
_ADMIT: Final = Script("""
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local after = arrival + interval
local wait = after - burst * interval - now
if wait > 0 then return {0, 0, math.ceil(wait), math.ceil(arrival - now)} end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, math.floor(-wait / interval), 0, math.ceil(after - now)}
""")
_MICROSECONDS: Final = 1_000_000
_WARNS_EVERY: Final = 60.0


@dataclass(frozen=True, slots=True)
class Admission:
    """A request that was let in: ``limit`` of them at once, ``remaining`` now, all again in ``reset`` seconds."""

    limit: int
    remaining: int
    reset: int


class Rates:
    """Lets each caller in at its rate.

    A caller that was away may use up a whole period's requests at once; after that they come back one by one. If Redis
    does not answer, everybody is let in: what protects a service must not be what takes it down.

    Args:
        server: where it is counted.
        usual: the rate of callers that have none of their own, such as ``"600/m"``; ``None`` means no limit.

    Raises:
        ValueError: the rate is not written like ``"600/m"``.
    """

    def __init__(self, server: Server, usual: str | None) -> None:
        self._server = server
        self._usual = None if usual is None else RateLimit(usual)
        self._of: dict[str, RateLimit] = {}
        self._warned = -math.inf

    async def admit(self, caller: Caller) -> Admission | None:
        """Let a caller in; ``None`` where nothing limits it, or nobody counts.

        Raises:
            TooManyRequests: it has used up its rate.
        """
        rate = self._usual if caller.rate is None else self._parsed(caller.rate)
        if rate is None:
            return None
        limit = int(rate.rate.partition("/")[0])
        # Counted apart for each rate: what was used up of a slow one says nothing about a faster one.
        key = f"{self._server.prefix}celeriac.requests:{rate.rate}:{caller.subject}"
        try:
            answer = await self._server.run(_ADMIT, [key], [int(rate.interval * _MICROSECONDS), limit])
        except RedisError as error:
            self._warn(error)
            return None
        admitted, remaining, wait, reset = map(int, answer)
        if not admitted:
            retry_after = math.ceil(wait / _MICROSECONDS)
            raise TooManyRequests(subject=caller.subject, rate=rate.rate, retry_after=retry_after)
        return Admission(limit, remaining, math.ceil(reset / _MICROSECONDS))

    def _parsed(self, text: str) -> RateLimit:
        found = self._of.get(text)
        if found is None:
            found = self._of[text] = RateLimit(text)
        return found

    def _warn(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._warned >= _WARNS_EVERY:
            self._warned = now
            logger.warning("requests are let in without being counted: %s: %s", self._server.address, error)
