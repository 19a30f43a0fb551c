"""The streams of an app, read: what waits for the database, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import ResponseError

from celeriac.history.events import facts_of, tells_of
from celeriac.history.facts import join
from celeriac.transport.server import broker_server, shelf_of
from celeriac.transport.stream import NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery

    from celeriac.history.facts import Facts
    from celeriac.transport.server import RedisServer

__all__ = ["Backlog", "Entry", "HistoryStreams"]

_LOOK_BACK: Final = 2000
_LOOK_BACK_BYTES: Final = 16 << 20
"""Entries, and bytes, that are looked through for a task which the database does not know yet."""
_AT_ONCE: Final = 200


class Entry(NamedTuple):
    """One entry of a stream."""

    id: bytes
    moment: int
    event: bytes


class Backlog(NamedTuple):
    """What waits for the database."""

    entries: int
    age: float | None
    """Seconds since the oldest came; ``None`` where there is none."""


class HistoryStreams:
    """Where the app's producers and workers write: with the broker, with the results, or both, where these are two.

    Raises, from every method:
        redis.exceptions.RedisError: a server cannot be reached, or refuses.
    """

    def __init__(self, app: Celery) -> None:
        found: dict[tuple[str, str], RedisServer] = {}
        for server in (broker_server(app), shelf_of(app)):
            if server is not None:
                found.setdefault((server.address, server.prefix), server)
        self.servers = list(found.values())
        """Each with a stream of its own."""

    @staticmethod
    def key(server: RedisServer) -> str:
        """The stream's key on a server."""
        return server.key(NAME)

    def find(self, task_id: str) -> Facts | None:
        """What the newest entries tell of a task."""
        found: Facts | None = None
        for server in self.servers:
            for entry in self._newest(server):
                if not tells_of(entry.event, task_id):
                    continue
                for each, facts in facts_of(entry.moment, entry.event):
                    if each == task_id:
                        found = facts if found is None else join(found, facts)
        return found

    def _newest(self, server: RedisServer) -> Iterator[Entry]:
        """The newest entries, as many as may be looked through."""
        last, size = "+", 0
        for _ in range(_LOOK_BACK // _AT_ONCE):
            entries = list(entries_of(server.call("XREVRANGE", self.key(server), last, "-", "COUNT", _AT_ONCE)))
            yield from entries
            size += sum(len(entry.event) for entry in entries)
            if len(entries) < _AT_ONCE or size > _LOOK_BACK_BYTES:
                return
            last = f"({entries[-1].id.decode()}"

    def backlog(self) -> Backlog:
        """How much waits, and since when, by the servers' clocks."""
        entries, oldest = 0, None
        for server in self.servers:
            count, first, clock = server.pipeline(
                [
                    ("XLEN", self.key(server)),
                    ("XRANGE", self.key(server), "-", "+", "COUNT", 1),
                    ("TIME",),
                ]
            )
            entries += int(count)
            for entry in entries_of(first):
                age = int(clock[0]) + int(clock[1]) / 1e6 - entry.moment / 1000
                oldest = age if oldest is None else max(oldest, age)
        return Backlog(entries, None if oldest is None else max(oldest, 0.0))

    def close(self) -> None:
        """Close the connections."""
        for server in self.servers:
            server.close()


def entries_of(replies: Any) -> Iterator[Entry]:
    """The entries of a reply; those that are deleted have no fields."""
    for reply in replies or ():
        if reply and reply[1]:
            yield Entry(reply[0], int(reply[0].split(b"-")[0]), reply[1][1])


def made_group(server: RedisServer, group: str) -> None:
    """Make a consumer group that begins with the first entry, unless there is one.

    Raises:
        redis.exceptions.RedisError: the server cannot be reached, or refuses.
    """
    try:
        server.call("XGROUP", "CREATE", server.key(NAME), group, 0, "MKSTREAM")
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
