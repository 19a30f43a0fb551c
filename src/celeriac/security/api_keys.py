"""API keys: made once, shown once, and kept as a digest."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from celeriac.exceptions import AccessUnavailable, NotAuthenticated, UnknownKey
from celeriac.security.callers import Caller, Method
from celeriac.tasks.policies import RateLimit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celeriac.security.server import Server

__all__ = ["ApiKey", "ApiKeys", "is_api_key"]

# The beginning is for people and for programs that look for secrets in code.
_TOKEN: Final = re.compile(r"cel_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_SCOPE: Final = re.compile(r"\*|[a-z0-9][a-z0-9_.-]*(:[a-z0-9][a-z0-9_.-]*)*(:\*|:[a-z0-9][a-z0-9_.-]*)")
_FRESH: Final = 5.0
"""Seconds for which a key is taken as it was last seen: so long may one that was revoked still work."""
_GRACE: Final = 300.0
"""Seconds for which a key that was seen is taken, while the server does not answer."""
_USED_EVERY: Final = 60.0
"""Seconds between two notes that a key is in use."""
_MOST_SEEN: Final = 10_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept. What its owner sends is not in it.

    Attributes:
        id: what names it, also inside of the key itself.
        name: what people call it.
        scopes: what its owner may do.
        created: when it was made.
        digest: SHA-256 of the secret.
        expires: when it stops working; ``None`` means never.
        rate: how often its owner may ask, ``"600/m"``; ``None`` means as often as everybody.
        revoked: when it was revoked; ``None`` if it was not.
        used: when it was last used, to the minute; ``None`` if it never was.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    digest: str = field(repr=False)
    expires: datetime | None = None
    rate: str | None = None
    revoked: datetime | None = None
    used: datetime | None = None

    @property
    def caller(self) -> Caller:
        """Who shows this key."""
        return Caller(f"key:{self.id}", frozenset(self.scopes), Method.KEY, self.name, self.rate)

    def state(self, now: datetime) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"


def is_api_key(text: str) -> bool:
    """Whether a text is written like a key of ours."""
    return _TOKEN.fullmatch(text) is not None


class ApiKeys:
    """The keys of one service, in Redis.

    A digest without salt or stretching is right here: those are for passwords that people choose. A secret of 256
    random bits cannot be guessed however fast the guesses are, and each request has to be checked.

    Args:
        server: where they are kept.
        fresh: seconds for which a key is taken as it was last seen; a revoked key works no longer than that.
    """

    def __init__(self, server: Server, *, fresh: float = _FRESH) -> None:
        self._server = server
        self._keys = f"{server.prefix}celeriac.keys"
        self._revoked = f"{server.prefix}celeriac.keys.revoked"
        self._used = f"{server.prefix}celeriac.keys.used"
        self._fresh = fresh
        self._seen: dict[str, tuple[ApiKey, float]] = {}
        self._noted: dict[str, float] = {}

    async def create(
        self, name: str, scopes: Iterable[str], *, lasts: timedelta | None = None, rate: str | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key: as it is kept, and as its owner needs it, which nobody can find out again.

        Args:
            name: what people call it.
            scopes: what its owner may do.
            lasts: how long it works; ``None`` means until it is revoked.
            rate: how often its owner may ask, such as ``"600/m"``; ``None`` means as often as everybody.

        Raises:
            ValueError: there is no name, no scope, or one that is no scope; the time is not more than none; or the rate
                is not written like ``"600/m"``.
            redis.exceptions.RedisError: the server did not take it.
        """
        allowed = tuple(sorted(set(scopes)))
        _check(name, allowed, lasts, rate)
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        now = datetime.now(UTC).replace(microsecond=0)
        expires = None if lasts is None else now + lasts
        key = ApiKey(key_id, name.strip(), allowed, now, _digest(secret), expires, rate)
        kept: dict[str, Any] = {"name": key.name, "scopes": allowed, "created": now.isoformat(), "digest": key.digest}
        kept |= {"expires": expires and expires.isoformat(), "rate": rate}
        await self._server.ask("HSET", self._keys, key_id, json.dumps(kept))
        return key, f"cel_{key_id}_{secret}"

    async def list(self) -> list[ApiKey]:
        """All keys, oldest first, revoked and expired ones too.

        Raises:
            redis.exceptions.RedisError: the server does not answer.
        """
        kept = _table(await self._server.ask("HGETALL", self._keys))
        revoked = _table(await self._server.ask("HGETALL", self._revoked))
        used = _table(await self._server.ask("HGETALL", self._used))
        found = [_key(key_id, text, revoked.get(key_id), used.get(key_id)) for key_id, text in kept.items()]
        return sorted(found, key=lambda key: (key.created, key.id))

    async def revoke(self, key_id: str) -> ApiKey:
        """Let a key work no more, from at most five seconds after this on.

        Raises:
            UnknownKey: there is none of this id.
            redis.exceptions.RedisError: the server does not answer.
        """
        if not await self._server.ask("HEXISTS", self._keys, key_id):
            raise UnknownKey(id=key_id)
        await self._server.ask("HSETNX", self._revoked, key_id, int(time.time()))
        return await self._read(key_id)

    async def forget(self, key_id: str) -> None:
        """Take a key out of the list too, so that it is as if it had never been made.

        Raises:
            UnknownKey: there is none of this id.
            redis.exceptions.RedisError: the server does not answer.
        """
        if not await self._server.ask("HDEL", self._keys, key_id):
            raise UnknownKey(id=key_id)
        await self._server.ask("HDEL", self._revoked, key_id)
        await self._server.ask("HDEL", self._used, key_id)

    async def identify(self, text: str) -> Caller:
        """Whose key this is.

        Raises:
            NotAuthenticated: nobody's, or one that works no more.
            AccessUnavailable: the server does not answer, and the key was not seen of late.
        """
        written = _TOKEN.fullmatch(text)
        try:
            key = None if written is None else await self._current(written[1])
        except UnknownKey:
            key = None
        # Who does not have the secret learns nothing about the key: not even whether there is one.
        if written is None or key is None or not hmac.compare_digest(key.digest, _digest(written[2])):
            raise NotAuthenticated(problem="the API key is unknown", error="invalid_token")
        state = key.state(datetime.now(UTC))
        if state != "active":
            raise NotAuthenticated(problem=f"the API key is {state}", error="invalid_token")
        self._note_use(key.id)
        return key.caller

    async def _current(self, key_id: str) -> ApiKey:
        now = time.monotonic()
        seen, when = self._seen.get(key_id, (None, 0.0))
        if seen is not None and now - when < self._fresh:
            return seen
        try:
            key = await self._read(key_id)
        except UnknownKey:
            self._seen.pop(key_id, None)
            raise
        except RedisError as error:
            if seen is not None and now - when < _GRACE:
                return seen
            raise AccessUnavailable(authority="the store of API keys", retry_after=1) from error
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[key_id] = (key, now)
        return key

    async def _read(self, key_id: str) -> ApiKey:
        kept = await self._server.ask("HGET", self._keys, key_id)
        if kept is None:
            raise UnknownKey(id=key_id)
        return _key(key_id, kept, await self._server.ask("HGET", self._revoked, key_id), None)

    def _note_use(self, key_id: str) -> None:
        now = time.monotonic()
        if now - self._noted.get(key_id, -_USED_EVERY) >= _USED_EVERY:
            self._noted[key_id] = now
            self._server.tell("HSET", self._used, key_id, int(time.time()))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(name: str, scopes: tuple[str, ...], lasts: timedelta | None, rate: str | None) -> None:
    if not name.strip():
        msg = "a key needs a name, so that people know whose it is"
        raise ValueError(msg)
    if not scopes:
        msg = "a key without a scope could do nothing"
        raise ValueError(msg)
    for scope in scopes:
        if not _SCOPE.fullmatch(scope):
            msg = f"a scope is written like 'tasks:run', 'reports:*' or '*', not {scope!r}"
            raise ValueError(msg)
    if lasts is not None and lasts <= timedelta():
        msg = "a key that lasts no time never works"
        raise ValueError(msg)
    if rate is not None:
        RateLimit(rate)


def _table(reply: dict[bytes, bytes] | list[bytes]) -> dict[str, bytes]:
    """A hash, as either version of Redis's protocol has it."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {name.decode(): value for name, value in pairs}


def _key(key_id: str, kept: bytes, revoked: bytes | None, used: bytes | None) -> ApiKey:
    said: dict[str, Any] = json.loads(kept)
    return ApiKey(
        id=key_id,
        name=said["name"],
        scopes=tuple(said["scopes"]),
        created=datetime.fromisoformat(said["created"]),
        digest=said["digest"],
        expires=None if said["expires"] is None else datetime.fromisoformat(said["expires"]),
        rate=said["rate"],
        revoked=_moment(revoked),
        used=_moment(used),
    )


def _moment(seconds: bytes | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)
