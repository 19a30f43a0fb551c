"""From the stream into the database: a thread in each worker's main process, any number of them, one group.

What one has read and not written is taken over by another after a while, so a worker may be killed at any moment. To
write twice changes nothing. While the database is away, the stream waits.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import DataError, SQLAlchemyError

from celeriac.history.events import facts_of
from celeriac.history.facts import join
from celeriac.history.streams import HistoryStreams, entries_of, made_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.history.facts import Facts
    from celeriac.history.repository import HistoryRepository
    from celeriac.history.streams import Entry
    from celeriac.transport.server import RedisServer

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

GROUP: Final = "celeriac"
AT_ONCE: Final = 200
"""Entries in one transaction, at most."""
MOST_EVENTS: Final = 2000
"""Tasks in one transaction, about."""
LINGER: Final = 0.1
"""Seconds that a first event waits for others, so that a trickle does not cost a transaction each."""
TAKEN_OVER_AFTER: Final = 10.0
"""Seconds after which what somebody read and did not write is another's to write."""
_LONGEST_IDLE: Final = 0.4
"""Seconds between two looks while nothing happens."""
_LOOKS_EVERY: Final = 5.0
_PRUNES_EVERY: Final = 60.0
_PRUNED_AT_ONCE: Final = 1000
_PRUNINGS: Final = 20
_COMPLAINS_EVERY: Final = 60.0
_FIRST_PAUSE: Final = 0.2
_LAST_PAUSE: Final = 5.0


class Recorder:
    """Writes down what the streams of an app tell.

    Args:
        streams: what is read. Nobody else may use it.
        repository: what is written.
        prepare: brings the tables up to date; called once the database answers.
        retention: seconds after which tasks are forgotten; 0 for never.
    """

    def __init__(
        self,
        streams: HistoryStreams,
        repository: HistoryRepository,
        prepare: Callable[[], None] = lambda: None,
        retention: float = 0,
    ) -> None:
        self._streams = streams
        self._repository = repository
        self._prepare: Callable[[], None] | None = prepare
        self._retention = retention
        self._me = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="celeriac-history", daemon=True)
        self._grouped: set[tuple[str, str]] = set()
        self._most = AT_ONCE
        """Entries that are read at once: fewer after a server, or a network, was too slow for that."""
        self._unwritten = False
        """Whether something that is ours may have been read and not written."""
        self._looked = self._pruned = 0.0
        self._complained = -_COMPLAINS_EVERY

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Write what is there, and end; what is left waits for another."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause, idle = _FIRST_PAUSE, LINGER
        while True:
            last = self._stopping.is_set()
            try:
                if self._prepare is not None:
                    self._prepare()
                    self._prepare = None
                wrote = self.step()
                pause = _FIRST_PAUSE
                if last and not wrote:
                    break
                idle = LINGER if wrote else min(2 * idle, _LONGEST_IDLE)
                self._stopping.wait(0 if wrote >= self._most else idle)
            except (RedisError, SQLAlchemyError, OSError) as error:
                self._grouped.clear()
                self._unwritten = True
                if isinstance(error, RedisTimeoutError):
                    self._most = max(self._most // 4, 1)
                self._complain(error)
                if last:
                    break
                self._stopping.wait(pause)
                pause = min(pause * 2, _LAST_PAUSE)
            except Exception:
                logger.exception("the history could not be written; it is tried again")
                if last:
                    break
                self._stopping.wait(_LAST_PAUSE)
        self._streams.close()
        self._repository.engine.dispose()

    def step(self) -> int:
        """Write down what waits, at most one transaction for each stream; how many entries that was.

        Raises:
            redis.exceptions.RedisError: a stream cannot be read.
            sqlalchemy.exc.SQLAlchemyError: the database cannot be written; what was read is read again.
        """
        now = time.monotonic()
        looks = now - self._looked >= _LOOKS_EVERY
        if looks:
            self._looked = now
        written = 0
        for server in self._streams.servers:
            self._join_group(server)
            if looks:
                self._take_over(server)
            most = self._most
            entries = self._read(server, most, "0") if self._unwritten else []
            if len(entries) < most:
                self._unwritten = False
                entries += self._read(server, most - len(entries), ">")
            if entries:
                self._unwritten = True
                self._write(entries)
                self._done(server, entries)
                self._unwritten = len(entries) >= most
                self._most = min(2 * most, AT_ONCE)
                written += len(entries)
        if self._retention and now - self._pruned >= _PRUNES_EVERY:
            self._pruned = now
            self._prune()
        return written

    def _join_group(self, server: RedisServer) -> None:
        if (place := (server.address, server.prefix)) not in self._grouped:
            made_group(server, GROUP)
            self._grouped.add(place)

    def _read(self, server: RedisServer, count: int, since: str) -> list[Entry]:
        key = self._streams.key(server)
        try:
            reply: Any = server.call("XREADGROUP", "GROUP", GROUP, self._me, "COUNT", count, "STREAMS", key, since)
        except ResponseError as error:
            if "NOGROUP" in str(error):  # somebody emptied the server
                self._grouped.discard((server.address, server.prefix))
                return []
            raise
        if not reply:
            return []
        told: Any = reply
        found: list[Any] = next(iter(told.values())) if isinstance(reply, dict) else told[0][1]
        if gone := [entry[0] for entry in found if not entry[1]]:  # there were more than may wait
            server.call("XACK", key, GROUP, *gone)
        return list(entries_of(found))

    def _take_over(self, server: RedisServer) -> None:
        """Make ours what somebody read who is gone; it is read with what we could not write ourselves."""
        key, idle = self._streams.key(server), int(TAKEN_OVER_AFTER * 1000)
        reply: Any = server.call("XAUTOCLAIM", key, GROUP, self._me, idle, "0-0", "COUNT", AT_ONCE, "JUSTID")
        self._unwritten = self._unwritten or bool(reply[1])
        self._dismiss(server, key)

    def _dismiss(self, server: RedisServer, key: str) -> None:
        """Forget readers that are gone and have nothing in hand."""
        for reply in server.call("XINFO", "CONSUMERS", key, GROUP):
            told: Any = reply
            known: dict[bytes, Any] = told if isinstance(reply, dict) else dict(zip(told[::2], told[1::2], strict=True))
            name, idle = known[b"name"], int(known[b"idle"])
            if name.decode() != self._me and not int(known[b"pending"]) and idle > 60 * TAKEN_OVER_AFTER * 1000:
                server.call("XGROUP", "DELCONSUMER", key, GROUP, name)

    def _write(self, entries: list[Entry]) -> None:
        facts: dict[str, Facts] = {}
        for entry in entries:
            for task_id, more in facts_of(entry.moment, entry.event):
                facts[task_id] = join(facts[task_id], more) if task_id in facts else more
            if len(facts) >= MOST_EVENTS:
                self._add(facts)
                facts = {}
        if facts:
            self._add(facts)

    def _add(self, facts: dict[str, Facts]) -> None:
        try:
            self._repository.add(facts)
        except DataError:  # one of them is not for this database, and the others are not to blame
            if len(facts) == 1:
                logger.exception("what happened to task %s cannot be written down", next(iter(facts)))
                return
            half = len(facts) // 2
            items = list(facts.items())
            self._add(dict(items[:half]))
            self._add(dict(items[half:]))

    def _done(self, server: RedisServer, entries: list[Entry]) -> None:
        key, ids = self._streams.key(server), [entry.id for entry in entries]
        server.pipeline([("XACK", key, GROUP, *ids), ("XDEL", key, *ids)])

    def _prune(self) -> None:
        before = datetime.now(UTC) - timedelta(seconds=self._retention)
        for _ in range(_PRUNINGS):
            if self._stopping.is_set() or self._repository.prune(before, _PRUNED_AT_ONCE) < _PRUNED_AT_ONCE:
                return

    def _complain(self, error: Exception) -> None:
        """Once a minute; what is not written waits on Redis."""
        now = time.monotonic()
        if now - self._complained >= _COMPLAINS_EVERY:
            self._complained = now
            line = (str(error).strip() or type(error).__name__).partition("\n")[0]
            logger.warning("the history is not written, and waits: %s", line)
