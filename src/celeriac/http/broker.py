"""What waits on the broker: how much, how long already, and how fast it comes and goes."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from celeriac.exceptions import MalformedMessage
from celeriac.transport.envelope import read
from celeriac.transport.redis.keys import SEPARATOR
from celeriac.transport.server import broker_server, shown

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.transport.results.outcomes import Ended
    from celeriac.transport.server import RedisServer

__all__ = ["Backlog", "BrokerFigures", "Rates"]

_USUAL_STEPS: Final = (0, 3, 6, 9)
_WINDOW: Final = 60.0
"""Seconds over which rates are taken."""
_APART: Final = 1.0
"""Seconds that two samples have to be apart to say anything."""
_LARGEST: Final = 1 << 20
"""Bytes of a message that is worth reading for its id."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in one queue."""

    depth: int
    oldest: tuple[str, ...] = ()
    """The ids of the messages that have waited longest, one for each priority, where the broker shows them."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How a queue moves, in tasks a second."""

    rate_in: float
    rate_out: float


class BrokerFigures:
    """Asks the broker. Blocks; for threads.

    Raises, from every method but :meth:`rates`:
        redis.exceptions.RedisError: it does not answer.
        kombu.exceptions.OperationalError: the same of RabbitMQ.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._samples: deque[tuple[float, dict[str, int], dict[tuple[int, str], int]]] = deque()

    @property
    def url(self) -> str:
        """The broker's URL as it may be shown."""
        return shown(str(self._app.conf.broker_read_url or ""))

    @property
    def queues(self) -> list[str]:
        """The queues that the app declares."""
        return sorted(self._app.amqp.queues)

    def reachable(self) -> bool:
        """Whether it answers at all."""
        try:
            if self._redis is not None:
                return self._redis.call("PING") is not None
            with self._app.connection_for_read() as connection:
                connection.ensure_connection(max_retries=1, timeout=1)
        except (RedisError, OperationalError, OSError):
            return False
        return True

    def backlogs(self) -> dict[str, Backlog]:
        """What waits, by queue."""
        return self._on_redis(self._redis) if self._redis is not None else self._elsewhere()

    def sample(self, backlogs: dict[str, Backlog], ended: list[Ended]) -> None:
        """Note how things stand, for :meth:`rates`."""
        now = time.monotonic()
        done: dict[tuple[int, str], int] = {}
        for each in ended:
            place = each.minute // 60, each.queue
            done[place] = done.get(place, 0) + each.tasks
        while len(self._samples) > 1 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()
        if not self._samples or now - self._samples[-1][0] >= _APART:
            self._samples.append((now, {queue: each.depth for queue, each in backlogs.items()}, done))

    def rates(self, queue: str) -> Rates | None:
        """How a queue moved within the last minute; ``None`` while too little is known.

        What came in is what went out, and by how much more waits now. So nobody has to count what is sent.
        """
        if len(self._samples) < 2:  # noqa: PLR2004  between two
            return None
        (before, depths, done), (now, depths_now, done_now) = self._samples[0], self._samples[-1]
        seconds = now - before
        gone = sum(count - done.get(place, 0) for place, count in done_now.items() if place[1] == queue)
        more = depths_now.get(queue, 0) - depths.get(queue, 0)
        return Rates(round(max(gone + more, 0) / seconds, 3), round(max(gone, 0) / seconds, 3))

    def close(self) -> None:
        """Close what was opened."""
        if (server := vars(self).get("_redis")) is not None:
            server.close()

    @cached_property
    def _redis(self) -> RedisServer | None:
        return broker_server(self._app)

    def _on_redis(self, server: RedisServer) -> dict[str, Backlog]:
        options: dict[str, Any] = self._app.conf.broker_transport_options or {}
        steps: Any = options.get("priority_steps") or _USUAL_STEPS
        lists = {
            queue: [f"{server.prefix}{queue}{SEPARATOR}{step}" if step else f"{server.prefix}{queue}" for step in steps]
            for queue in self.queues
        }
        keys = [key for each in lists.values() for key in each]
        replies = server.pipeline([part for key in keys for part in (("LLEN", key), ("LINDEX", key, -1))])
        known = {key: (int(replies[2 * at]), replies[2 * at + 1]) for at, key in enumerate(keys)}
        found: dict[str, Backlog] = {}
        for queue, names in lists.items():
            oldest = tuple(each for key in names if (each := _id_of(known[key][1])) is not None)
            found[queue] = Backlog(sum(known[key][0] for key in names), oldest)
        return found

    def _elsewhere(self) -> dict[str, Backlog]:
        found: dict[str, Backlog] = {}
        with self._app.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, timeout=1)
            broken: Any = connection.channel_errors
            for queue in self.queues:
                channel: Any = connection.channel()  # one that is refused is closed
                try:
                    found[queue] = Backlog(channel.queue_declare(queue, passive=True).message_count)
                except broken:  # nobody has declared it yet
                    found[queue] = Backlog(0)
        return found


def _id_of(raw: Any) -> str | None:
    """The id of a message."""
    if not isinstance(raw, bytes) or len(raw) > _LARGEST:
        return None
    try:
        headers: Any = read(raw).headers
    except MalformedMessage:
        return None
    found: str | None = headers.get("id")
    return found
