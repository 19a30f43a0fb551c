"""The transport's operations on a Redis server, without kombu: for channels, pools, dead letters and migrations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from celeriac.transport.link import Script
from celeriac.transport.redis import scripts
from celeriac.transport.redis.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from celeriac.transport.link import Link
    from celeriac.transport.stream import HistoryStream

__all__ = ["LEASE", "LONGEST_MESSAGE", "Claim", "Delivery", "Parked", "RedisBroker"]

LEASE: Final = 30.0
"""Seconds that a worker keeps what it claimed without a sign of life."""
LONGEST_MESSAGE: Final = 32 * 1024 * 1024
"""Bytes of a raw message; a longer one becomes a dead letter without reaching a worker."""

_FENCE_SECONDS: Final = 3600
"""A request that is on its way for longer than this arrives nowhere."""
_NO_FLAGS: Final = "compiling script"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message in flight: its token settles this delivery and no other."""

    token: str
    list_key: str
    raw: bytes
    deliveries: int
    """How often it was delivered before, and not settled."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim brought."""

    now: float
    """The server's clock, seconds since the epoch."""
    settled: int
    """How many of the tokens carried along were still held."""
    next_due: float | None
    """When the next parked message is due, by the server's clock, if the lists were empty."""
    next_token: int
    """The first token that is free."""
    deliveries: list[Delivery]


@dataclass(frozen=True, slots=True)
class Parked:
    """A message that waits on the server for its time."""

    id: str
    list_key: str
    raw: bytes
    due: float
    """Seconds since the epoch, by the server's clock."""


class RedisBroker:
    """What happens to messages on the server. Each method is one round trip and atomic.

    Raises, from every method:
        redis.exceptions.ConnectionError: the server is out of reach; nothing is known to have happened.
        redis.exceptions.TimeoutError: it did not answer in time; it may have happened.
        redis.exceptions.ResponseError: it refused.
    """

    def __init__(self, link: Link, prefix: str = "", lease: float = LEASE, longest: int = LONGEST_MESSAGE) -> None:
        self.link = link
        self.keys = Keys(prefix)
        self.lease = lease
        self.longest = longest
        self._scripts: dict[str, Script] = {}
        self._flags = True

    def claim(
        self, owner: str, lists: Sequence[str], limit: int, *, first_token: int, settle: Iterable[str] = ()
    ) -> Claim:
        """Take up to ``limit`` messages from the first lists that hold any, renew the lease, settle ``settle``.

        Tokens count up from ``first_token``. A message that was delivered before comes alone.
        """
        keys = self.keys
        now, settled, next_due, next_token, *flat = self._run(
            scripts.CLAIM,
            [keys.leases, keys.in_flight + owner, keys.deliveries, keys.delayed, keys.parked, keys.dead, *lists],
            [owner, self._lease_ms, limit, first_token, self.longest, keys.dead_letter, *settle],
        )
        found: list[Any] = flat
        deliveries = [
            Delivery(str(found[at + 1]), lists[int(found[at])], found[at + 3], found[at + 2])
            for at in range(0, len(found), 4)
        ]
        return Claim(now / 1000, settled, None if next_due < 0 else next_due / 1000, next_token, deliveries)

    def settle(self, owner: str, tokens: Sequence[str]) -> int:
        """Forget deliveries that are done; returns how many were still held by this owner."""
        return int(self._run(scripts.SETTLE, [self.keys.in_flight + owner, self.keys.deliveries], tokens))

    def give_back(self, owner: str, tokens: Sequence[str], *, count: bool) -> int:
        """Return messages to the consuming end of their lists; ``count`` says whether they may be to blame."""
        held = [self.keys.in_flight + owner, self.keys.deliveries]
        return int(self._run(scripts.GIVE_BACK, held, [int(count), *tokens]))

    def abandon(self, owner: str, *, counted: Collection[str] = (), settled: Collection[str] = ()) -> int:
        """Return all that an owner holds, but for ``settled``, and end its lease: it is dead, or leaves."""
        keys = [self.keys.leases, self.keys.in_flight + owner, self.keys.deliveries]
        return int(self._run(scripts.ABANDON, keys, [owner, len(settled), *settled, *counted]))

    def renew(self, owners: Sequence[str]) -> list[str]:
        """Give each owner another lease; returns those whose lease had ended and was swept away."""
        return [owner.decode() for owner in self._run(scripts.RENEW, [self.keys.leases], [self._lease_ms, *owners])]

    def sweep(self, limit: int = 10) -> dict[str, int]:
        """Return what expired owners held, counted; each owner with how many messages went back."""
        keys = [self.keys.leases, self.keys.deliveries]
        swept = self._run(scripts.SWEEP, keys, [self.keys.in_flight, limit])
        return {swept[at].decode(): int(swept[at + 1]) for at in range(0, len(swept), 2)}

    def park(self, owner: str, due: Mapping[str, float], names: Mapping[str, str] | None = None) -> list[str]:
        """Let messages in flight wait on the server until they are due.

        Args:
            owner: who holds them.
            due: token to seconds of the server's clock.
            names: token to the name by which a message can be woken before that.

        Returns:
            The tokens of messages that were woken by now, and stay in flight.
        """
        names = names or {}
        flat = [part for token, when in due.items() for part in (token, int(when * 1000), names.get(token, ""))]
        keys = [self.keys.in_flight + owner, self.keys.delayed, self.keys.parked, self.keys.woken]
        return [token.decode() for token in self._run(scripts.PARK, keys, [owner, *flat])]

    def unpark(self, limit: int = 500) -> int:
        """Send parked messages back to their lists before their time; returns how many, 0 once none are left."""
        return int(self._run(scripts.UNPARK, [self.keys.delayed, self.keys.parked], [limit]))

    def owners(self) -> dict[str, float]:
        """Who holds a lease, and for how many more seconds; less than 0 where it has ended."""
        now = self.clock()
        flat = self.link.call("ZRANGE", self.keys.leases, 0, -1, "WITHSCORES")
        return {owner.decode(): float(until) / 1000 - now for owner, until in _pairs(flat)}

    def bury(
        self, owner: str, token: str, told: tuple[HistoryStream, bytes] | None = None, **fields: str | int
    ) -> bool:
        """Make a message in flight a dead letter with these fields beside its own; whether it was still held.

        Args:
            owner: who holds it.
            token: of the delivery.
            told: what the history hears of it in the same step, and by which stream.
            fields: of the dead letter.
        """
        letter = f"{owner}:{token}"
        keys = [
            self.keys.in_flight + owner,
            self.keys.deliveries,
            self.keys.dead,
            self.keys.dead_letter + letter,
            f"{self.keys.dead}:none" if told is None else told[0].key,
        ]
        event: tuple[bytes, int] = (b"", 0) if told is None else (told[1], told[0].most)
        flat = [part for field in fields.items() for part in field]
        return bool(self._run(scripts.BURY, keys, [token, letter, *event, *flat]))

    def raw(self, owner: str, token: str) -> bytes | None:
        """A message in flight, as it was sent, or ``None`` if it is not held."""
        value = self.link.call("HGET", self.keys.in_flight + owner, token)
        return None if value is None else _parts(value)[1]

    def fence(self, owner: str, first_token: int) -> None:
        """From here on, refuse this owner's claims with an earlier first token: they were given up."""
        self._run(scripts.FENCE, [f"{self.keys.leases}:fence:{owner}"], [first_token, _FENCE_SECONDS])

    def held(self, owner: str, known: Collection[str]) -> list[Delivery]:
        """What the server holds for an owner beside ``known``: claimed by a reply that never arrived."""
        unknown = [
            token
            for token in (each.decode() for each in self.link.call("HKEYS", self.keys.in_flight + owner))
            if token not in known
        ]
        if not unknown:
            return []
        unknown.sort(key=int)
        values = self.link.call("HMGET", self.keys.in_flight + owner, *unknown)
        found = [(token, *_parts(value)) for token, value in zip(unknown, values, strict=True) if value is not None]
        if not found:
            return []
        counts: list[Any] = self.link.call("HMGET", self.keys.deliveries, *(_digest(raw) for _, _, raw in found))
        return [Delivery(*each, int(count or 0)) for each, count in zip(found, counts, strict=True)]

    def delayed(self, limit: int = 100) -> list[Parked]:
        """The messages that wait for their time, the next one first."""
        flat = self.link.call("ZRANGE", self.keys.delayed, 0, limit - 1, "WITHSCORES")
        pairs = _pairs(flat)
        if not pairs:
            return []
        values = self.link.call("HMGET", self.keys.parked, *(pair[0] for pair in pairs))
        return [
            Parked(pair[0].decode(), *_parts(value), float(pair[1]) / 1000)
            for pair, value in zip(pairs, values, strict=True)
            if value is not None
        ]

    def clock(self) -> float:
        """The server's time, seconds since the epoch."""
        seconds, microseconds = self.link.call("TIME")
        return int(seconds) + int(microseconds) / 1_000_000

    @property
    def _lease_ms(self) -> int:
        return int(self.lease * 1000)

    def _run(self, text: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        if self._flags:
            try:
                return self._script(text).call(self.link, keys, args)
            except ResponseError as error:
                if _NO_FLAGS not in str(error):
                    raise
                self._flags = False  # Redis 6: scripts without flags, which a full server refuses
        return self._script(scripts.without_flags(text)).call(self.link, keys, args)

    def _script(self, text: str) -> Script:
        if (script := self._scripts.get(text)) is None:
            script = self._scripts[text] = Script(text)
        return script


def _pairs(flat: list[Any]) -> list[Any]:
    """Members with their scores: a list of pairs in protocol 3, one flat list in protocol 2."""
    return flat if not flat or isinstance(flat[0], list) else [flat[at : at + 2] for at in range(0, len(flat), 2)]


def _digest(raw: bytes) -> str:
    return hashlib.sha1(raw, usedforsecurity=False).hexdigest()


def _parts(value: bytes) -> tuple[str, bytes]:
    length, _, rest = value.partition(b":")
    return rest[: int(length)].decode(), rest[int(length) :]
