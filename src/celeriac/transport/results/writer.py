"""Results on their way to the server: gathered, stored in one pipeline, kept while the server is away.

Acknowledgements wait for results. Each result of this process has a position; a message may be acknowledged once
:func:`durable` has reached the position that :func:`position` gave when its task had ended.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from redis.exceptions import RedisError

from celeriac.transport.results.entry import (
    LOAD_SCRIPT,
    Entry,
    is_forgotten_script,
    is_refused_for_memory,
)
from celeriac.transport.results.flusher import Flusher
from celeriac.transport.results.journal import KEY as JOURNAL
from celeriac.transport.results.journal import WEIGHT, JournalEntry
from celeriac.transport.results.queue import EntryQueue

if TYPE_CHECKING:
    from celeriac.transport.link import Link
    from celeriac.transport.results.journal import Happening, Journal
    from celeriac.transport.results.outcomes import OutcomeCounter

__all__ = ["ResultWriter", "coalesce", "durable", "flush", "full", "position", "writers"]

logger = logging.getLogger(__name__)

MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 64 << 20
"""What may wait before a consumer has to stop claiming. Twice as much may never be passed."""
FIRST_PAUSE, LAST_PAUSE = 0.05, 1.0
"""Seconds between two attempts while the server is away: doubling from the first to the last."""
BYTES_A_SECOND: Final = 4 << 20
"""A slow network's pace; a large batch has that much more time."""
FAREWELL: Final = 2.0
"""Seconds that a process which ends gives its last results."""


class _Process:
    """What all writers of a process share: one sequence, one lock, and whether a consumer of ours flushes here."""

    def __init__(self) -> None:
        self.writers: WeakSet[ResultWriter] = WeakSet()
        self.lock = threading.Lock()
        self.newest = 0
        self.coalescing = False

    def after_fork(self) -> None:
        """The parent stores its results itself; locks may have been held by threads that are not here."""
        self.lock = threading.Lock()
        self.coalescing = False
        for writer in self.writers:
            writer.after_fork()


_process = _Process()
os.register_at_fork(after_in_child=_process.after_fork)


class ResultWriter:
    """Stores results over one connection, for every thread of the process.

    A result is never dropped because the server is away: it waits, and a thread tries again until it is stored.

    Args:
        link: the connection; nobody else may use it.
        timeout: seconds that the server may take to store a small batch.
        address: the server as the log names it.
        most_entries: how many results may wait before :attr:`full`.
        most_bytes: how many bytes of them.
        counter: counts what ended, in the same round trip.
    """

    def __init__(
        self,
        link: Link,
        *,
        timeout: float,
        address: str = "the result backend",
        most_entries: int = MOST_ENTRIES,
        most_bytes: int = MOST_BYTES,
        counter: OutcomeCounter | None = None,
    ) -> None:
        self._link = link
        self._counter = counter
        self._timeout = timeout
        self._address = address
        self._most = most_entries, most_bytes
        self.after_fork()
        with _process.lock:
            _process.writers.add(self)

    def after_fork(self) -> None:
        """Start empty. What the parent had not stored yet is the parent's to store."""
        self.queue = EntryQueue()
        """What is not stored yet; the process's one lock protects it."""
        self._stored = threading.Condition(_process.lock)
        self._sender = threading.Lock()
        self._flusher = Flusher(self)
        self._known = False
        self._pause = 0.0
        self._away_since = 0.0
        self._retry_at = 0.0

    # -- handing over

    @property
    def coalesce(self) -> bool:
        """Whether results may wait for a flush: only where a consumer of ours runs in this process."""
        return _process.coalescing

    @coalesce.setter
    def coalesce(self, on: bool) -> None:
        coalesce(on=on)

    @property
    def full(self) -> bool:
        """Whether so much waits that no more tasks should be begun."""
        return len(self.queue) >= self._most[0] or self.queue.size >= self._most[1]

    @property
    def away(self) -> bool:
        """Whether the last attempt failed."""
        return self._pause > 0

    def put(self, entry: Entry, *, final: bool) -> int:
        """Hand a result over. Blocks only while twice as much waits as :attr:`full` allows; a report is dropped then.

        Args:
            entry: the result.
            final: whether it ends the task; what is not is a report, and worth less.

        Returns:
            its position.
        """
        with self._stored:
            while len(self.queue) >= 2 * self._most[0] or self.queue.size >= 2 * self._most[1]:
                if not final:
                    return _process.newest
                self._flusher.poke()
                self._stored.wait()
            if self.queue.superseded(entry):
                return _process.newest
            _process.newest = entry.position = _process.newest + 1
            self.queue.put(entry)
        if _process.coalescing or self._pause:
            self._flusher.poke()
        return entry.position

    @property
    def lock(self) -> threading.Lock:
        """What protects :attr:`queue`."""
        return _process.lock

    def note(self, journal: Journal, happening: Happening | bytes | None = None) -> None:
        """Hand over what the history shall hear, to go with the next results. Never blocks on the server.

        Args:
            journal: whose entry it goes into.
            happening: what, or an event that is rendered already; without it, what runs is told of.
        """
        with _process.lock:
            queue = self.queue
            entry: Any = queue.named(JOURNAL)
            if entry is None:
                _process.newest += 1
                entry = JournalEntry(journal, _process.newest)
                queue.put(entry)
            if happening is not None:
                (entry.raw if isinstance(happening, bytes) else entry.happenings).append(happening)
                entry.counted += WEIGHT
                queue.size += WEIGHT
        self._flusher.poke()

    # -- positions

    def position(self) -> int:
        """The position of the newest result of this process."""
        return _process.newest

    newest = position

    def oldest(self) -> int | None:
        """The position of the first result that is not stored yet, or ``None``."""
        with _process.lock:
            return self.queue.oldest()

    def durable(self) -> int:
        """Every result of this writer up to here is stored on the server."""
        with _process.lock:
            oldest = self.queue.oldest()
            return _process.newest if oldest is None else oldest - 1

    def holds(self, key: bytes) -> bool:
        """Whether a state of this task is not stored yet."""
        if not len(self.queue):
            return False
        with _process.lock:
            return self.queue.holds(key)

    # -- storing

    def flush(self, timeout: float | None = None) -> int:
        """Store what waits, in one pipeline, and never raise.

        While the server is known to be away this returns at once: the writer's own thread tries again, and whoever has
        to wait calls :meth:`drain`.

        Args:
            timeout: seconds that it may take; the connection's own timeout otherwise.

        Returns:
            :meth:`durable`.
        """
        if len(self.queue) and not self._pause:
            self.attempt(timeout)
        return self.durable()

    def drain(self, timeout: float | None, until: int | None = None) -> bool:
        """Wait until everything handed over so far is stored, however long the server is away.

        Args:
            timeout: seconds at most, or ``None`` for as long as it takes.
            until: the position to wait for; the newest otherwise.

        Returns:
            whether it is.
        """
        until = _process.newest if until is None else until
        end = None if timeout is None else time.monotonic() + timeout
        if self.flush(timeout) >= until:
            return True
        self._flusher.poke()
        with self._stored:
            while (oldest := self.queue.oldest()) is not None and oldest <= until:
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._stored.wait(left)
        return True

    def pause(self) -> float:
        """Seconds until the next attempt, while the server is away; 0 otherwise."""
        return max(self._retry_at - time.monotonic(), 0.0) if self._pause else 0.0

    def attempt(self, timeout: float | None = None) -> bool:
        """Store batch after batch until nothing waits or one fails; says whether none failed."""
        allowed = self._timeout if timeout is None else timeout
        if not self._sender.acquire(timeout=max(allowed, 0)):
            return False
        try:
            while True:
                with _process.lock:
                    batch = self.queue.take()
                if not batch:
                    return True
                unstored = batch
                try:
                    unstored, problem = self._send(batch, allowed)
                except (RedisError, OSError) as error:
                    problem = error
                finally:  # whatever interrupts this, such as a soft time limit
                    with self._stored:
                        self.queue.settle(unstored)
                        self._stored.notify_all()
                if problem is not None:
                    self._is_away(problem)
                    return False
                if not unstored:
                    self._is_back(len(batch))
        finally:
            self._sender.release()

    def _send(self, batch: list[Entry], timeout: float) -> tuple[list[Entry], Exception | None]:
        """Those of the batch that are not stored, and what is in the way of them."""
        allowed = timeout + sum(len(entry.payload) for entry in batch) / BYTES_A_SECOND
        wanted = self._without_successes(batch, allowed)
        scripted = any(entry.scripted for entry in wanted)
        if not self._link.connected:
            self._known = False
        load = [LOAD_SCRIPT] if scripted and not self._known else []
        commands = b"".join([*load, *[entry.render() for entry in wanted]])
        if not commands:
            return [], None
        count, counted = (b"", 0) if self._counter is None else self._counter.commands(wanted)
        expected = len(load) + sum(entry.replies for entry in wanted) + counted
        replies = self._link.send_packed(commands + count, expected, allowed)
        place = len(load)
        refused = next((reply for reply in replies[:place] if isinstance(reply, Exception)), None)
        self._known = self._known or (bool(load) and refused is None)
        unstored: list[Entry] = []
        problem: Exception | None = refused
        for entry in wanted:
            reply: Any = replies[place]
            place += entry.replies
            if not isinstance(reply, Exception):
                continue
            if is_forgotten_script(reply):
                self._known = False
            elif is_refused_for_memory(reply) and not entry.scripted:
                entry.refused = True
            elif entry.refused_for_good(reply):
                logger.error("%s refused the result at %s for good: %s", self._address, entry.key.decode(), reply)
                continue
            else:
                problem = problem or reply
            unstored.append(entry)
        return unstored, problem

    def _without_successes(self, batch: list[Entry], timeout: float) -> list[Entry]:
        """Without those that would overwrite a success that only its decoded payload shows to be one."""
        asked = [entry for entry in batch if entry.succeeded is not None and not entry.success]
        if not asked:
            return batch
        found = self._link.pipeline([("GET", entry.key) for entry in asked], timeout)
        over = {
            id(entry)
            for entry, payload in zip(asked, found, strict=True)
            if isinstance(payload, bytes) and entry.succeeded is not None and entry.succeeded(payload)
        }
        return [entry for entry in batch if id(entry) not in over]

    def _is_away(self, problem: Exception) -> None:
        now = time.monotonic()
        if not self._pause:
            self._away_since = now
            reason = str(problem) or type(problem).__name__
            logger.warning("%s stores no results (%s); they wait, and tasks go on", self._address, reason)
        self._pause = min(self._pause * 2, LAST_PAUSE) or FIRST_PAUSE
        self._retry_at = now + self._pause
        self._flusher.poke()

    def _is_back(self, stored: int) -> None:
        if self._pause:
            self._pause = 0.0
            seconds = time.monotonic() - self._away_since
            logger.warning("%s stores results again after %.1f s; %d waited", self._address, seconds, stored)

    def close(self, timeout: float = FAREWELL) -> None:
        """Store what still waits, at most so many seconds, and close the connection. The next result opens another."""
        if self._pause:
            self.attempt(timeout)
        else:
            self.flush(timeout)
        if self._sender.acquire(timeout=timeout):
            try:
                self._link.close()
            finally:
                self._sender.release()


def coalesce(*, on: bool = True) -> None:
    """Say that a consumer in this process flushes results before it acknowledges, or that it no longer does.

    A forked child starts without.
    """
    _process.coalescing = on


def writers() -> list[ResultWriter]:
    """The writers of this process."""
    with _process.lock:
        return list(_process.writers)


def position() -> int:
    """The position of the newest result of this process; 0 before the first."""
    return _process.newest


def durable() -> int:
    """Every result of this process up to here is stored on its server."""
    with _process.lock:
        waiting = [oldest for each in _process.writers if (oldest := each.queue.oldest()) is not None]
        return min(waiting, default=_process.newest + 1) - 1


def flush(timeout: float | None = None) -> int:
    """Flush every writer, as :meth:`ResultWriter.flush`; gives :func:`durable`."""
    for writer in writers():
        writer.flush(timeout)
    return durable()


def full() -> bool:
    """Whether so many results wait that no more tasks should be begun."""
    return any(writer.full for writer in writers())


@atexit.register
def _farewell() -> None:
    for writer in writers():
        if writer.oldest() is not None:
            writer.attempt(FAREWELL)
