"""Requests that may be sent twice and count once: ``Idempotency-Key``."""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from celeriac.exceptions import BrokerUnavailable
from celeriac.http.problems import ProblemError
from celeriac.transport.link import Script
from celeriac.transport.publishing.ids import fresh_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from celeriac.http.offload import Offload
    from celeriac.transport.server import RedisServer

__all__ = ["LONGEST_KEY", "Idempotency", "Turn"]

logger = logging.getLogger(__name__)

KEPT: Final = 24 * 3600
"""Seconds for which a key is remembered."""
IN_FLIGHT: Final = 30.0
"""Seconds after which a request that was never answered is taken for dead."""
LONGEST_KEY: Final = 255

_BEGIN: Final = Script("""
-- A hash: f, the request's fingerprint; id, the task's; until, ms at which its process is taken for dead; answer.
local f = redis.call('HGET', KEYS[1], 'f')
if not f then
  redis.call('HSET', KEYS[1], 'f', ARGV[1], 'id', ARGV[2], 'until', ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  return {'yours', ARGV[2]}
end
if f ~= ARGV[1] then return {'other'} end
local answer = redis.call('HGET', KEYS[1], 'answer')
if answer then return {'done', answer} end
if tonumber(redis.call('HGET', KEYS[1], 'until')) > tonumber(ARGV[4]) then return {'busy'} end
redis.call('HSET', KEYS[1], 'until', ARGV[3])
return {'yours', redis.call('HGET', KEYS[1], 'id')}
""")


@dataclass(slots=True)
class Turn:
    """One request's turn.

    Attributes:
        task_id: the id that its task has to get; ``None`` where any will do.
        replay: what was answered the first time; ``None`` where this is the first.
        answer: what is answered now, to be remembered; set by whoever answers.
    """

    task_id: str | None = None
    replay: bytes | None = None
    answer: bytes | None = None


class Idempotency:
    """Remembers requests by their key for a day, on Redis, for all processes.

    A request whose outcome is not known, because its process died or the broker's answer was lost, sends its task
    under the same id when it comes again, and so cannot become two tasks with two results.

    Args:
        server: keeps them; without one, keys are refused.
        ask: asks it beside the loop.
        clock: seconds since the epoch.
    """

    def __init__(self, server: RedisServer | None, ask: Offload, clock: Callable[[], float] = time.time) -> None:
        self._server = server
        self._ask = ask
        self._clock = clock

    @asynccontextmanager
    async def turn(self, subject: str, key: str | None, request: bytes) -> AsyncGenerator[Turn]:
        """A block in which a request is carried out, unless its ``replay`` says that it was before.

        Args:
            subject: the caller: each has keys of its own.
            key: what the caller sent; ``None`` if nothing.
            request: all that makes the request what it is.

        Raises:
            ProblemError: the key is no key (422), was used for another request (422) or is in use now (409).
            redis.exceptions.RedisError: nothing can be remembered; nothing was done.
        """
        if key is None:
            yield Turn()
            return
        if not 0 < len(key) <= LONGEST_KEY:
            raise ProblemError(422, "invalid-idempotency-key", f"A key has 1 to {LONGEST_KEY} characters.")
        if self._server is None:
            raise ProblemError(501, "no-idempotency", "This service has no Redis server to remember keys on.")
        digest = hashlib.sha256(b"\0".join((subject.encode(), key.encode()))).hexdigest()
        place = self._server.key(f"idempotency:{digest}")
        turn = await self._begin(self._server, place, hashlib.sha256(request).hexdigest())
        try:
            yield turn
        except Exception as error:
            unsure = isinstance(error, BrokerUnavailable) and error.uncertain
            await self._note(*(("HSET", place, "until", 0) if unsure else ("DEL", place)))
            raise
        if turn.answer is not None:
            await self._note("HSET", place, "answer", turn.answer)

    async def _note(self, *command: bytes | str | float) -> None:
        """Write down what came of it. If that fails, the request counts as one that was never answered."""
        assert self._server is not None  # noqa: S101  there was one to begin with
        try:
            await self._ask(self._server.call, *command)
        except (RedisError, ProblemError) as error:
            logger.warning("what came of a request with an Idempotency-Key could not be noted: %s", error)

    async def _begin(self, server: RedisServer, place: str, fingerprint: str) -> Turn:
        now = int(self._clock() * 1000)
        until = now + int(IN_FLIGHT * 1000)
        told: list[Any] = await self._ask(server.run, _BEGIN, [place], [fingerprint, fresh_id(), until, now, KEPT])
        verdict = bytes(told[0])
        if verdict == b"other":
            raise ProblemError(422, "idempotency-key-reused", "This Idempotency-Key was used for another request.")
        if verdict == b"busy":
            detail = "A request with this Idempotency-Key is being carried out."
            raise ProblemError(409, "request-in-flight", detail, headers={"Retry-After": "1"})
        if verdict == b"done":
            return Turn(replay=bytes(told[1]))
        return Turn(task_id=bytes(told[1]).decode())
