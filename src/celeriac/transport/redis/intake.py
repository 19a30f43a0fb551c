"""What one process takes from Redis and holds: the claims, the tokens in hand, and what is ready to be settled."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celeriac.transport.link import Link
from celeriac.transport.redis.broker import RedisBroker
from celeriac.transport.redis.leases import LeaseKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from redis import Connection

    from celeriac.transport.redis.broker import Claim, Delivery, Parked
    from celeriac.transport.stream import HistoryStream

logger = logging.getLogger(__name__)

__all__ = ["IDLE", "Barrier", "Intake", "NoBarrier"]

IDLE: Final = 1.0
"""Seconds after which a worker that waits looks for itself."""
_BLIND: Final = 0.05
"""The same, where the server cannot tell who waits."""
_FULL: Final = 0.1
"""The same, where results wait for their server in such numbers that no more tasks should be begun."""
_FAR: Final = 1 << 20
"""More tokens than one claim can use."""
_SHY: Final = 0.016
"""Seconds that a worker may stand back which was woken in vain again and again: others are quicker."""


class Barrier(Protocol):
    """What must be stored before an acknowledgement may go out: see ``celeriac.transport.results``."""

    def position(self) -> int:
        """Of the newest result that was handed over in this process."""
        ...

    def durable(self) -> int:
        """Up to which everything is stored."""
        ...

    def flush(self, timeout: float) -> int:
        """Store what waits, now; the new :meth:`durable`."""
        ...

    def full(self) -> bool:
        """Whether so much waits that nothing more should be claimed."""
        ...


class NoBarrier:
    """Nothing to wait for."""

    def position(self) -> int:
        """Nothing was handed over."""
        return 0

    def durable(self) -> int:
        """All of it is stored."""
        return 0

    def flush(self, timeout: float) -> int:  # noqa: ARG002  the protocol's
        """Nothing to store."""
        return 0

    def full(self) -> bool:
        """Never."""
        return False


class Intake:
    """One owner of leases.

    It outlives connections: what a task works on stays claimed while the worker connects again. Only one thread claims
    and waits; acknowledgements may come from any.

    Args:
        connect: opens connections that can be pushed to.
        prefix: kombu's ``global_keyprefix``.
        lease: seconds that what is held stays ours without a sign of life.
        timeout: seconds that the server may take to answer.
        barrier: what acknowledgements wait for.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        prefix: str = "",
        lease: float,
        timeout: float,
        barrier: Barrier | None = None,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.link = Link(connect, timeout=timeout, on_connect=self._track)
        self.broker = RedisBroker(self.link, prefix, lease)
        self.barrier: Barrier = barrier or NoBarrier()
        self.held: dict[str, str] = {}
        """Tokens in hand, each with the list that its message came from. A child of a fork has none of them."""
        self.users = 0
        """Channels that claim through this."""
        self.stale = True
        """Whether there may be something to claim."""
        self.clock_offset = 0.0
        """Seconds to add to this machine's clock for the server's."""
        self.pid = os.getpid()
        self._next_token = 1
        self._done: deque[tuple[int, str]] = deque()
        self._settling: set[str] = set()
        self._returning: dict[str, bool] = {}
        self._lock = threading.RLock()
        self._claimer: int | None = None
        self._aside = RedisBroker(Link(connect, timeout=timeout), prefix, lease)
        self._aside_lock = threading.Lock()
        self._tracking = False
        self._in_doubt = False
        self._due: float | None = None
        self._empty: frozenset[bytes] = frozenset()
        self._looked = 0.0
        self._in_vain = 0
        self.keeper = LeaseKeeper(self, Link(connect, timeout=timeout))

    # -- claiming

    def claim(self, lists: Sequence[str], limit: int) -> list[Delivery]:
        """Take up to ``limit`` messages, and settle what is done, in one round trip.

        Raises:
            redis.exceptions.ConnectionError: the server is out of reach; what is held stays held.
            redis.exceptions.TimeoutError: it does not answer.
        """
        try:
            return self._claim(lists, limit)
        except RedisConnectionError:  # perhaps only this connection was cut
            return self._claim(lists, limit)

    def _claim(self, lists: Sequence[str], limit: int) -> list[Delivery]:
        with self._lock:
            self._claimer = threading.get_ident()
            done = self._ripe()
            if self.barrier.full():  # the server of results is away: what is queued is safe where it is
                self._done.extendleft(reversed(done))
                self.stale, self._due = False, time.monotonic() + _FULL
                return []
            tokens = [token for _, token in done]
            try:
                found = self._lost_replies(tokens) if self._in_doubt else []
                room = max(limit - len(found), 0)
                claim = self.broker.claim(self.owner, lists, room, first_token=self._next_token, settle=tokens)
            except ResponseError:
                self._done.extendleft(reversed(done))
                raise
            except BaseException:
                # The server may have claimed, or buried, for us and lost the connection: none of its tokens again.
                self._in_doubt = True
                self._next_token += _FAR
                self._done.extendleft(reversed(done))
                raise
            self._in_doubt = False
            self.keeper.start()
            return self._note(claim, lists, limit, found)

    def _note(self, claim: Claim, lists: Sequence[str], limit: int, found: list[Delivery]) -> list[Delivery]:
        self._next_token = claim.next_token
        now = time.time()
        self.clock_offset = claim.now - now
        self._looked = time.monotonic()
        self._due = None if claim.next_due is None else self._looked + max(claim.next_due - claim.now, 0)
        deliveries = found + claim.deliveries
        for delivery in deliveries:
            self.held[delivery.token] = delivery.list_key
        # One that got something looks again when it is done; one that got nothing asks to be told.
        self.stale = bool(deliveries) or not limit
        if deliveries:
            self._in_vain = 0
        elif self._tracking and lists:
            self._empty = frozenset(key.encode() for key in (*lists, self.broker.keys.delayed))
            self.stale = bool(self.link.call("EXISTS", *lists))  # and the server remembers that we looked
        return deliveries

    def let_go(self, tokens: Iterable[str]) -> None:
        """Messages that were claimed and came into nobody's hands: the next claim finds those still in flight."""
        with self._lock:
            for token in tokens:
                self.held.pop(token, None)
            self._in_doubt = self.stale = True

    def _lost_replies(self, settling: Iterable[str]) -> list[Delivery]:
        """What earlier claims took, of which no reply came; those that arrive only now take nothing any more."""
        self.broker.fence(self.owner, self._next_token)
        known = self.held.keys() | {token for _, token in self._done} | self._settling | self._returning.keys()
        found = self.broker.held(self.owner, known.union(settling))
        if found:
            self._next_token = max(self._next_token, max(int(each.token) for each in found) + 1)
        return found

    @property
    def now(self) -> float:
        """The server's clock, as far as this machine's has run since the last claim."""
        return time.time() + self.clock_offset

    # -- waiting

    def wait(self, timeout: float) -> bool:
        """Block until there may be something to claim, at most ``timeout`` seconds."""
        if self.stale:
            return True
        allowed = min(timeout, self.patience())
        try:
            woken = self._concern(self.link.wait(allowed)) if allowed > 0 else False
        except (RedisConnectionError, RedisTimeoutError):
            woken = True
        if woken:
            self._woken()
        elif self.patience() <= 0:
            self.stale = True
        return self.stale

    def patience(self) -> float:
        """Seconds until it is time to look, if nobody says anything."""
        now = time.monotonic()
        left = self._looked + (IDLE if self._tracking else _BLIND) - now
        return max(left if self._due is None else min(left, self._due - now), 0.0)

    def look(self) -> None:
        """Take in what the server pushed; the link may turn out to be broken, which the next claim finds."""
        if not self.link.connected:
            self.stale = True
            return
        try:
            if self._concern(self.link.wait(0)):
                self.stale = True
        except (RedisConnectionError, RedisTimeoutError):
            self.stale = True

    def _concern(self, pushes: Sequence[Any]) -> bool:
        """Whether one of the lists changed, or what waits for its time.

        The server remembers every key that a script of ours named, the leases among them, which each claim of another
        worker writes: idle workers that listened to that would wake each other without end.
        """
        for push in pushes:
            keys = push[1] if push[0] == b"invalidate" else None
            if keys is None or not self._empty.isdisjoint(keys):  # None: the whole database was emptied
                return True
        return False

    def _woken(self) -> None:
        """All that wait are told of a message, and one gets it: who comes too late time and again stands back."""
        self.stale = True
        self._in_vain += 1
        if self._in_vain > 3:  # noqa: PLR2004  a few times is chance
            time.sleep(random.uniform(0, min(_SHY, 0.0005 * 2 ** min(self._in_vain, 6))))  # noqa: S311  no secret

    def _track(self, link: Link) -> None:
        """Ask to be told when a list changes that we found empty."""
        try:
            link.call("CLIENT", "TRACKING", "ON", "NOLOOP")
            self._tracking = True
        except ResponseError:  # an ACL, or a proxy
            self._tracking = False
        self.stale = True

    # -- settling

    def acknowledge(self, token: str) -> None:
        """The message is done with. From any thread."""
        if token in self.held:
            self._done.append((self.barrier.position(), token))
            self.held.pop(token, None)  # not earlier: whoever looks for lost replies must find it in one of the two
            self.keeper.nudge()

    @property
    def pending(self) -> bool:
        """Whether something waits to be settled, or to go back."""
        return bool(self._done or self._returning)

    def flush(self, broker: RedisBroker | None = None) -> int:
        """Store results, then settle what they allow; returns how many were settled.

        Raises:
            redis.exceptions.ConnectionError: the server is out of reach; it is tried again.
        """
        if not self._done:
            return 0
        with self._lock:
            done = self._ripe()
            tokens = [token for _, token in done]
            self._settling.update(tokens)
        if not done:
            return 0
        try:
            if broker is not None:
                return self._settle(broker, tokens)
            with self._mine() as mine:
                return self._settle(mine, tokens)
        except BaseException:  # a time limit may strike here as well
            with self._lock:
                self._done.extendleft(reversed(done))
            raise
        finally:
            self._settling.difference_update(tokens)

    def try_flush(self) -> None:
        """The same where the server may be away: what could not be settled is settled once it is back."""
        try:
            self.flush()
        except (RedisConnectionError, RedisTimeoutError, ResponseError) as error:
            logger.warning("%d messages cannot be acknowledged yet: %s", len(self._done), error)
            self.keeper.nudge()

    def _settle(self, broker: RedisBroker, tokens: list[str]) -> int:
        try:
            return broker.settle(self.owner, tokens)
        except RedisConnectionError:  # perhaps only this connection was cut; to settle twice does no harm
            return broker.settle(self.owner, tokens)

    @contextmanager
    def _mine(self) -> Generator[RedisBroker]:
        """The broker for this thread: a connection serves one, and one of them is the claiming thread's alone."""
        if self._claimer in {None, threading.get_ident()}:
            yield self.broker
        else:
            with self._aside_lock:
                yield self._aside

    def _ripe(self) -> list[tuple[int, str]]:
        """Take out what may be settled: its result is stored."""
        if not self._done:
            return []
        durable = self.barrier.durable()
        if self._done[-1][0] > durable:
            durable = self.barrier.flush(self.link.timeout)
        done: list[tuple[int, str]] = []
        while self._done and self._done[0][0] <= durable:
            done.append(self._done.popleft())
        return done

    def give_back(self, tokens: Iterable[str], *, count: bool) -> None:
        """Let others have messages that were claimed; ``count`` says whether they were begun."""
        with self._lock:
            given = {token: count for token in tokens if self.held.pop(token, None) is not None}
            if not given:
                return
            self.stale = True
            self._returning.update(given)
            try:
                with self._mine() as broker:
                    self.return_pending(broker)
            except (RedisConnectionError, RedisTimeoutError, ResponseError) as error:
                logger.warning("%d messages cannot go back to their queues yet: %s", len(given), error)
                self.keeper.nudge()

    def return_pending(self, broker: RedisBroker) -> None:
        """Send messages back that could not go while the server was away.

        Raises:
            redis.exceptions.ConnectionError: it still is.
        """
        with self._lock:
            for count in (False, True):
                tokens = [token for token, counts in self._returning.items() if counts is count]
                if tokens:
                    broker.give_back(self.owner, tokens, count=count)
                    for token in tokens:
                        del self._returning[token]

    def park(self, due: dict[str, float], names: Mapping[str, str]) -> list[str]:
        """Let messages wait on the server for their time, and keep those in hand that were woken: see the broker."""
        with self._lock:
            with self._mine() as broker:
                woken = broker.park(self.owner, due, names)
            for token in due.keys() - woken:
                self.held.pop(token, None)
            first = time.monotonic() + max(min(due.values()) - self.now, 0)
            self._due = first if self._due is None else min(self._due, first)
        return woken

    def parked(self, limit: int) -> list[Parked]:
        """Messages that wait on the server for their time, the next one first, whoever parked them.

        Raises:
            redis.exceptions.ConnectionError: the server is out of reach.
        """
        with self._lock, self._mine() as broker:
            return broker.delayed(limit)

    def bury(self, token: str, told: tuple[HistoryStream, bytes] | None = None, **fields: str | int) -> None:
        """Make a message a dead letter.

        Raises:
            redis.exceptions.RedisError: it is none yet, and still held.
        """
        with self._lock, self._mine() as broker:
            try:
                broker.bury(self.owner, token, told, **fields)
            except RedisConnectionError:  # perhaps only this connection was cut; nothing is buried twice
                broker.bury(self.owner, token, told, **fields)
            self.held.pop(token, None)

    # -- the end

    def leave(self) -> None:
        """One channel less; the last one out ends the lease, once nothing is in hand."""
        self.users -= 1
        if self.pid != os.getpid():
            return
        try:
            self.flush()
            self.retire()
        except (RedisConnectionError, RedisTimeoutError, ResponseError):
            if self.users or self.held:
                return
            if self.pending:
                self.keeper.end_with_the_lease()
            else:
                self.keeper.stop()  # the lease ends by itself
                self.link.close()

    def retire(self) -> bool:
        """End the lease if nobody claims through this any more and nothing is in hand."""
        if self.users or self.held or self.pending or self.pid != os.getpid():
            return False
        self.keeper.stop()
        with self._lock, self._mine() as broker:
            broker.abandon(self.owner)
            self.link.close()
            self._aside.link.close()
        return True
