"""One connection on which everybody in the process waits for results."""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakSet

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celeriac.transport.results.watch import Watch
from celeriac.transport.results.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis import Connection

__all__ = ["Subscription"]

SUBSCRIBED_AT_ONCE: Final = 500
READ_AT_ONCE: Final = 100
"""How many keys go into one command: a reply with many large results keeps the others waiting."""
STALE: Final = 32
"""How many channels may stay subscribed that nobody waits for: to leave them one by one would cost a write each."""
QUIET: Final = 1.0
"""Seconds without a word from the server, while somebody waits, after which it is asked whether it still lives."""
FIRST_PAUSE, LAST_PAUSE = 0.01, 0.25
"""Seconds between two attempts to connect."""
_packed: Any = cast("Any", hiredis).pack_command  # typed for one argument
_subscriptions: WeakSet[Subscription] = WeakSet()


class Subscription:
    """Reads stored results, and tells of new ones, for all threads and event loops of a process.

    Whoever waits reads the connection itself, for itself and for all others: no thread stands between the server and a
    single waiter. A connection that breaks is opened again; everything that is waited for is subscribed and read again.

    Args:
        connect: gives a connected RESP3 connection of redis-py, within so many seconds.
        timeout: seconds that the server may take to answer.
        patience: seconds that a waiter bears with a server that cannot be reached, before it gets the error.
    """

    def __init__(self, connect: Callable[[float], Connection], *, timeout: float, patience: float) -> None:
        self._connect = connect
        self.timeout = timeout
        self.patience = patience
        self._wire: Wire | None = None
        self._watchers: set[Callable[[], None]] = set()
        self._fresh()
        _subscriptions.add(self)

    def _fresh(self) -> None:
        self._lock = threading.Lock()
        self._lead = threading.Lock()
        self._connecting = threading.Lock()
        self._watches: set[Watch] = set()
        self._by_key: dict[bytes, list[Watch]] = {}
        self._subscribed: set[bytes] = set()
        self._stale: set[bytes] = set()
        self._waiting: dict[Watch, None] = {}  # threads, in the order in which they came
        self._listeners: dict[Any, Callable[[], None]] = {}
        self._failures = 0
        self._bad_since: float | None = None
        self.problem: Exception = _silence()
        """Why the last connection was lost, or could not be opened."""

    def after_fork(self) -> None:
        """The connection, and those who waited on it, are the parent's."""
        wire, self._wire = self._wire, None
        self._fresh()
        if wire is not None:
            wire.abandon()

    # -- beginning and ending to wait

    def begin(self, watch: Watch) -> None:
        """Ask for what is stored, and for what will be. Writes at most; connecting is left to whoever waits."""
        with self._lock:
            self._watches.add(watch)
            if watch.subscribed:
                for key in watch.keys:
                    self._by_key.setdefault(key, []).append(watch)
            if self._wire is not None:
                self._guarded(partial(self._ask, self._wire, [watch]))

    def end(self, watch: Watch) -> None:
        """Stop waiting."""
        with self._lock:
            self._watches.discard(watch)
            self._waiting.pop(watch, None)
            if not watch.subscribed:
                return
            for key in watch.keys:
                watches = self._by_key.get(key)
                if watches is not None and watch in watches:
                    watches.remove(watch)
                    if not watches:
                        del self._by_key[key]
                        self._stale.add(key)
            if self._wire is not None and len(self._stale) >= STALE:
                self._guarded(partial(self._leave, self._wire))

    def _ask(self, wire: Wire, watches: Iterable[Watch]) -> None:
        commands: list[bytes] = []
        receivers: list[Callable[[Any], None]] = []
        for watch in watches:
            keys = watch.keys
            if watch.subscribed:
                self._stale.difference_update(keys)
                new = [key for key in keys if key not in self._subscribed]
                self._subscribed.update(new)
                commands.extend(
                    _packed(("SUBSCRIBE", *new[start : start + SUBSCRIBED_AT_ONCE]))
                    for start in range(0, len(new), SUBSCRIBED_AT_ONCE)
                )
            parts = [keys[start : start + READ_AT_ONCE] for start in range(0, len(keys), READ_AT_ONCE)]
            commands.extend(_packed(("GET" if len(part) == 1 else "MGET", *part)) for part in parts)
            watch.unanswered = len(parts)
            receivers.extend(partial(self._answer, watch, part) for part in parts)
        wire.send(b"".join(commands), receivers)

    def _leave(self, wire: Wire) -> None:
        stale, self._stale = self._stale, set()
        self._subscribed -= stale
        wire.send(_packed(("UNSUBSCRIBE", *stale)))

    def _answer(self, watch: Watch, keys: Sequence[bytes], reply: Any) -> None:
        if isinstance(reply, RedisConnectionError | NoPermissionError):
            # It loads its data, and is as good as away. Or it was SUBSCRIBE that it refused, which answers in no other
            # case: then the replies that follow are not those that they seem to be.
            raise reply
        self._is_well()
        watch.answer(keys, reply)

    def _is_well(self) -> None:
        if self._failures:
            self._failures, self._bad_since, self.problem = 0, None, _silence()

    # -- waiting in a thread

    def wait(self, watch: Watch, seconds: float | None) -> list[tuple[bytes, Any]]:
        """Block until something came for this watch, at most so long; empty if nothing did.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, or refused.
        """
        end = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            self._waiting[watch] = None
        try:
            while not watch.ripe:
                left = QUIET if end is None else end - time.monotonic()
                if left <= 0:
                    break
                if self._lead.acquire(blocking=False):
                    try:
                        self._read_for(watch, end)
                    finally:
                        self._lead.release()
                else:
                    watch.park(left)
        finally:
            with self._lock:
                self._waiting.pop(watch, None)
                self._promote()
        return watch.news()

    def _promote(self) -> None:
        """Somebody has to read, now that we do not any more."""
        if not self._lead.locked():
            for watch in self._waiting:
                if not watch.ripe:
                    watch.wake()
                    return

    def _read_for(self, watch: Watch, end: float | None) -> None:
        while not watch.ripe:
            now = time.monotonic()
            left = QUIET if end is None else end - now
            if left <= 0:
                return
            wire = self.wire()
            if wire is None:
                self.connect(end, watch)
                continue
            asked = wire.asked_since()
            limit = wire.heard + QUIET if asked is None else asked + self.timeout
            try:
                wire.wait(min(left, max(limit - now, 0.001)))
            finally:
                self.let_go(wire)
            self.take()

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """What is stored under these keys now; keys without a value are left out.

        Raises:
            redis.exceptions.RedisError: the server cannot be reached, or refused.
        """
        watch = Watch(keys, subscribed=False)
        found: dict[bytes, bytes] = {}
        self.begin(watch)
        try:
            while watch.unanswered or watch.ripe:
                found.update(self.wait(watch, None))
                if not watch.unanswered:
                    break
        finally:
            self.end(watch)
        return found

    # -- the connection

    def take(self) -> None:
        """Hand out what has come, without blocking; find out whether the server still lives."""
        with self._lock:
            if self._wire is not None:
                self._guarded(partial(self._take, self._wire))

    def _take(self, wire: Wire) -> None:
        for push in wire.take():
            if push[0] == b"message":
                self._is_well()
                for watch in self._by_key.get(push[1], ()):
                    watch.put(push[1], push[2])
        now = time.monotonic()
        asked = wire.asked_since()
        if asked is not None:
            if now - asked >= self.timeout:
                raise _silence()
        elif now - wire.heard >= QUIET and self._watches:
            wire.send(_packed(("PING",)), [_ignore])

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something with the connection; an error closes it, and the next reader opens another."""
        try:
            action()
        except (OSError, RedisError) as error:
            asked = None if self._wire is None else self._wire.asked_since()
            self._part()
            self._failed(error, asked)

    def _part(self) -> None:
        wire, self._wire = self._wire, None
        self._subscribed.clear()
        self._stale.clear()
        if wire is not None:
            wire.shut()
            for changed in self._listeners.values():
                changed()
            self._promote()

    def _failed(self, error: Exception, since: float | None) -> None:
        """The server is away, since this moment; those out of patience get the error."""
        now = time.monotonic()
        if not isinstance(error, RedisError):
            error = RedisConnectionError(str(error) or type(error).__name__)
        self.problem = error
        self._failures += 1
        if self._bad_since is None:
            self._bad_since = now if since is None else since
        for watch in self._watches:
            if now - max(watch.since, self._bad_since) >= self.patience:
                watch.put(b"", error)

    def connect(self, end: float | None = None, watch: Watch | None = None) -> None:
        """Connect, unless connected, for as long as anybody waits with patience.

        Args:
            end: the moment at which the caller has to have its thread back.
            watch: the caller's own, with which it ends as well.
        """
        if not self._connecting.acquire(timeout=-1 if end is None else max(end - time.monotonic(), 0)):
            return
        try:
            while self._wire is None and not self._is_vain(watch):
                if self._failures > 1:  # the first time it was a connection that broke; another may well hold
                    pause = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LAST_PAUSE)
                    time.sleep(pause if end is None else max(min(pause, end - time.monotonic()), 0))
                left = self.timeout if end is None else end - time.monotonic()
                if left <= 0:
                    return
                try:
                    connection = self._connect(max(min(left, self.timeout), 0.01))
                except (OSError, RedisError) as error:
                    with self._lock:
                        self._failed(error, None)
                else:
                    self._adopt(connection)
        finally:
            self._connecting.release()

    def _is_vain(self, watch: Watch | None) -> bool:
        """Whether nobody, or not the caller, waits with patience any more."""
        if not self._failures:
            return False
        with self._lock:
            return (watch is not None and watch.ripe) or all(each.ripe for each in self._watches)

    def _adopt(self, connection: Connection) -> None:
        with self._lock:
            self._wire = wire = Wire(connection)
            self._guarded(partial(self._ask, wire, list(self._watches)))
            for changed in self._listeners.values():
                changed()

    def listen(self, who: Any, changed: Callable[[], None] | None) -> None:
        """Call ``changed`` whenever another connection takes the place of this one, or none does; ``None`` ends that.

        It is called under the lock.
        """
        with self._lock:
            if changed is None:
                self._listeners.pop(who, None)
            else:
                self._listeners[who] = changed
                changed()

    def wire(self) -> Wire | None:
        """The connection, held for the caller, who gives it back to :meth:`let_go`; ``None`` while there is none."""
        with self._lock:
            if self._wire is not None:
                self._wire.hold()
            return self._wire

    def let_go(self, wire: Wire) -> None:
        """End what :meth:`wire` began."""
        with self._lock:
            wire.release()

    def close(self) -> None:
        """Close the connection. Who waits now, or later, opens another."""
        with self._lock:
            self._part()


def _silence() -> Exception:
    return RedisTimeoutError("Timeout: the server did not answer")


def _ignore(reply: Any) -> None:
    """A sign of life, and no more."""
    if isinstance(reply, RedisConnectionError):
        raise reply


def _after_fork() -> None:
    for subscription in _subscriptions:
        subscription.after_fork()


os.register_at_fork(after_in_child=_after_fork)
