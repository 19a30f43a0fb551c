"""Requests that may be sent twice and count once: ``Idempotency-Key``."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError
from starlette.exceptions import HTTPException

from celeriac.exceptions import AccessError, BrokerUnavailable, CallError
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
"""Seconds after which a request whose process says nothing any more is taken for dead."""
LONGEST_KEY: Final = 255
_OTHER: Final = "This Idempotency-Key was used for another request."

_BEGIN: Final = Script("""
-- A hash: f, the request's fingerprint; id, the task's; until, ms at which its process is taken for dead; who, whose
-- turn it is; body, the digest of a body that is none of the fingerprint; answer.
local f = redis.call('HGET', KEYS[1], 'f')
if not f then
  redis.call('HSET', KEYS[1], 'f', ARGV[1], 'id', ARGV[2], 'until', ARGV[3], 'who', ARGV[6])
  redis.call('EXPIRE', KEYS[1], ARGV[5])
  return {'first', ARGV[2], ''}
end
if f ~= ARGV[1] then return {'other'} end
local body = redis.call('HGET', KEYS[1], 'body') or ''
local answer = redis.call('HGET', KEYS[1], 'answer')
if answer then return {'done', answer, body} end
if tonumber(redis.call('HGET', KEYS[1], 'until')) > tonumber(ARGV[4]) then return {'busy'} end
redis.call('HSET', KEYS[1], 'until', ARGV[3], 'who', ARGV[6])
return {'again', redis.call('HGET', KEYS[1], 'id'), body}
""")
_NOTE: Final = Script("""
-- ARGV: whose turn it is, and fields with their values; without any, the key is forgotten.
if redis.call('HGET', KEYS[1], 'who') ~= ARGV[1] then return 0 end
if #ARGV == 1 then redis.call('DEL', KEYS[1]) else redis.call('HSET', KEYS[1], unpack(ARGV, 2)) end
return 1
""")


class _Entry:
    """What is remembered of one request, for as long as it is its turn."""

    def __init__(self, server: RedisServer, ask: Offload, place: str) -> None:
        self._server = server
        self._ask = ask
        self._place = place
        self.who = fresh_id()

    async def note(self, *fields: bytes | str | float) -> bool:
        """Write it down, or with nothing to write forget the key; whether it was its turn still.

        Raises:
            redis.exceptions.RedisError: Redis does not answer.
            ProblemError: likewise, in time.
        """
        return bool(await self._ask(self._server.run, _NOTE, [self._place], [self.who, *fields]))


@dataclass(slots=True)
class Turn:
    """One request's turn.

    Attributes:
        task_id: the id that its task has to get; ``None`` where any will do.
        replay: what was answered the first time; ``None`` where this is the first, or nobody knows what came of that.
        answer: what is answered now, to be remembered; set by whoever answers.
        again: whether the request was begun before, and nobody knows what came of it.
        body: the digest that an earlier try was bound to.
    """

    task_id: str | None = None
    replay: bytes | None = None
    answer: bytes | None = None
    again: bool = False
    body: str | None = None
    _entry: _Entry | None = None

    async def bind(self, digest: str) -> None:
        """Make a body that came by pieces a part of the request: from now on, another one is another request.

        Raises:
            ProblemError: it is another one (422), or another process has the turn meanwhile (409).
            redis.exceptions.RedisError: it cannot be remembered.
        """
        if self.body is not None and self.body != digest:
            raise ProblemError(422, "idempotency-key-reused", _OTHER)
        if self._entry is None or self.body == digest:
            return
        if not await self._entry.note("body", digest):
            raise _in_flight()
        self.body = digest


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
    async def turn(
        self, subject: str, key: str | None, request: bytes, *, refused: tuple[type[Exception], ...] = ()
    ) -> AsyncGenerator[Turn]:
        """A block in which a request is carried out, unless its ``replay`` says that it was before.

        The key is forgotten if the block ends by an error that proves that nothing was done. After any other, nobody
        knows, and the next request with that key gets the same id.

        Args:
            subject: the caller: each has keys of its own.
            key: what the caller sent; ``None`` if nothing.
            request: all that makes the request what it is, but for what it is bound to later.
            refused: errors that prove it, beside the kit's own.

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
        entry = _Entry(self._server, self._ask, place)
        turn = await self._begin(self._server, place, hashlib.sha256(request).hexdigest(), entry)
        if turn.replay is not None:
            yield turn
            return
        try:
            async with self._held(entry):
                yield turn
        except Exception as error:
            nothing = not turn.again and _proves_nothing_done(error, refused)
            await _end(entry, *(() if nothing else ("until", 0, "who", "")))
            raise
        if turn.answer is not None:
            await _end(entry, "answer", turn.answer, "who", "")

    async def _begin(self, server: RedisServer, place: str, fingerprint: str, entry: _Entry) -> Turn:
        now = int(self._clock() * 1000)
        until = now + int(IN_FLIGHT * 1000)
        said: list[str | float] = [fingerprint, fresh_id(), until, now, KEPT, entry.who]
        told: list[Any] = await self._ask(server.run, _BEGIN, [place], said)
        verdict = bytes(told[0])
        if verdict == b"other":
            raise ProblemError(422, "idempotency-key-reused", _OTHER)
        if verdict == b"busy":
            raise _in_flight()
        body = bytes(told[2]).decode() or None
        if verdict == b"done":
            return Turn(replay=bytes(told[1]), body=body)
        return Turn(bytes(told[1]).decode(), again=verdict == b"again", body=body, _entry=entry)

    @asynccontextmanager
    async def _held(self, entry: _Entry) -> AsyncGenerator[None]:
        """A block during which nobody takes the request for dead, however long it is."""
        holding = asyncio.create_task(self._hold(entry))
        try:
            yield
        finally:
            holding.cancel()
            with suppress(asyncio.CancelledError):
                await holding

    async def _hold(self, entry: _Entry) -> None:
        while True:
            await asyncio.sleep(IN_FLIGHT / 3)
            with suppress(RedisError, ProblemError):  # the next one may get through
                await entry.note("until", int((self._clock() + IN_FLIGHT) * 1000))


async def _end(entry: _Entry, *fields: bytes | str | float) -> None:
    """Write down what came of it. If that fails, the request counts as one that was never answered."""
    try:
        await entry.note(*fields)
    except (RedisError, ProblemError) as error:
        logger.warning("what came of a request with an Idempotency-Key could not be noted: %s", error)


def _proves_nothing_done(error: Exception, refused: tuple[type[Exception], ...]) -> bool:
    """Whether nothing can have been sent or written by a request that ended so."""
    if isinstance(error, BrokerUnavailable):
        return not error.uncertain
    if isinstance(error, ProblemError):
        return error.status < 500  # noqa: PLR2004  the caller's fault, not a server's
    if isinstance(error, HTTPException):
        return error.status_code < 500  # noqa: PLR2004  likewise
    return isinstance(error, (CallError, AccessError, *refused))


def _in_flight() -> ProblemError:
    detail = "A request with this Idempotency-Key is being carried out."
    return ProblemError(409, "request-in-flight", detail, headers={"Retry-After": "1"})
