"""Dead letters on RabbitMQ: a quorum queue, which is looked through by taking from it and putting back."""

from __future__ import annotations

import hashlib
import heapq
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from amqp.exceptions import NotFound

from celeriac.exceptions import LostQueue
from celeriac.history.letters import DeadLetter, DeadLetterPage, DeadReason
from celeriac.transport.rabbitmq.names import BURIED, DEAD, REPLAY, plain_headers
from celeriac.transport.rabbitmq.topology import declare_dead_letters

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from celery import Celery

__all__ = ["RabbitStore"]

_SERVERS: Final = {
    "delivery_limit": DeadReason.TOO_MANY_DELIVERIES,
    "rejected": DeadReason.REJECTED,
    "expired": DeadReason.EXPIRED,
}
_LONGEST_RETURN: Final = 2.0
"""Seconds to wait until what was looked at is back in its queue."""
_WORDS: Final = {
    "delivery_limit": "the server took it out of its queue: it was given back too often",
    "rejected": "a worker rejected it",
    "expired": "it waited for longer than its sender allowed",
}


@dataclass(frozen=True, slots=True)
class _Found:
    letter: DeadLetter
    raw: Any
    store: _Walk

    def replay(self) -> bool:
        return self.store.replay(self.raw, self.letter)

    def drop(self) -> bool:
        return self.store.drop(self.raw)


class RabbitStore:
    """See :class:`~celeriac.history.store.DeadLetterStore`.

    A replay is a rejection: the server moves the message itself, from the queue of dead letters to the one that it came
    from, and keeps it until that queue has confirmed it. We may die at any moment; it is in one of the two.

    Raises, from every method:
        OSError: the server is out of reach.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app

    def count(self) -> int:
        """How many there are, without those that somebody is looking at."""
        with self._app.connection_for_write() as connection:
            channel: Any = connection.channel()
            declare_dead_letters(channel)
            return int(channel.queue_declare(DEAD, passive=True).message_count)

    def page(self, limit: int, fits: Callable[[DeadLetter], bool], after: str | None) -> DeadLetterPage:
        """See :meth:`celeriac.history.store.DeadLetterStore.page`.

        All are looked at for each page, as the queue promises no order to messages that were put back.
        """
        with self.walk() as found:
            letters = (each.letter for each in found)
            chosen = (each for each in letters if (after is None or _place(each) > after) and fits(each))
            first = heapq.nsmallest(limit + 1, chosen, key=_place)
        more = len(first) > limit
        return DeadLetterPage(tuple(first[:limit]), _place(first[limit - 1]) if more else None)

    @contextmanager
    def walk(self, *, only: str | None = None) -> Generator[Iterator[_Found]]:
        """See :meth:`celeriac.history.store.DeadLetterStore.walk`."""
        with self._app.connection_for_write() as connection:
            walk = _Walk(connection, self._app.conf.get("task_max_deliveries") or 5)
            try:
                yield (each for each in walk.all() if only is None or each.letter.id == only)
            finally:
                walk.close()


class _Walk:
    """One look through the queue. What is neither replayed nor dropped is put back when it is closed."""

    def __init__(self, connection: Any, max_deliveries: int) -> None:
        self.channel: Any = connection.channel()
        self._connection = connection
        self._max_deliveries = max_deliveries
        self._bound: set[tuple[str, str]] = set()
        self._seen: dict[str, int] = {}
        self._held: dict[int, None] = {}
        declare_dead_letters(self.channel)

    def all(self) -> Iterator[_Found]:
        """One after another, and no further than what is there now: what was put back meanwhile comes again."""
        waiting = int(self.channel.queue_declare(DEAD, passive=True).message_count)
        for _ in range(waiting):
            raw = self.channel.basic_get(DEAD, no_ack=False)
            if raw is None:
                return
            self._held[raw.delivery_tag] = None
            yield _Found(self._letter(raw), raw, self)

    def replay(self, raw: Any, letter: DeadLetter) -> bool:
        """Let the server move a message back to its queue."""
        key = str(raw.delivery_info["routing_key"])
        if (letter.queue, key) not in self._bound:
            with self._connection.channel() as channel:  # one of its own: where there is no queue, it is closed
                try:
                    channel.queue_bind(letter.queue, REPLAY, routing_key=key)
                except NotFound as error:
                    raise LostQueue(id=letter.id, queue=letter.queue) from error
            self._bound.add((letter.queue, key))
        self.channel.basic_reject(raw.delivery_tag, requeue=False)
        del self._held[raw.delivery_tag]
        return True

    def drop(self, raw: Any) -> bool:
        """Let the server forget a message."""
        self.channel.basic_ack(raw.delivery_tag)
        del self._held[raw.delivery_tag]
        return True

    def close(self) -> None:
        """Put back what is left, one by one, as that keeps its order; all at once, RabbitMQ shuffles it.

        The server says that it has heard before it has put back all, so that the next look would miss some.
        """
        if not self.channel.is_open:
            return
        for tag in self._held:
            self.channel.basic_reject(tag, requeue=True)
        deadline = time.monotonic() + _LONGEST_RETURN  # somebody else may have them in hand by now
        while self._held and time.monotonic() < deadline:
            if int(self.channel.queue_declare(DEAD, passive=True).message_count) >= len(self._held):
                break
            time.sleep(0.005)
        self.channel.close()

    def _letter(self, raw: Any) -> DeadLetter:
        wire: dict[str, Any] = raw.properties.get("application_headers") or {}
        headers = plain_headers(wire)
        body = raw.body.encode() if isinstance(raw.body, str) else bytes(raw.body)
        deaths = cast("list[dict[str, Any]]", wire.get("x-death") or [])
        last: dict[str, Any] = deaths[0] if deaths else {}
        # Who came back from here and was buried once more has a newer entry of the server's, or none at all.
        ours: dict[str, Any] = wire.get(BURIED) or {}
        said = self._by_server(last) if last and last.get("queue") != DEAD else ours
        task, task_id = headers.get("task"), headers.get("id")
        return DeadLetter(
            id=self._id(wire, body),
            task=task if isinstance(task, str) else None,
            task_id=task_id if isinstance(task_id, str) else None,
            queue=str(said.get("queue") or raw.delivery_info["routing_key"]),
            reason=DeadReason.of(str(said.get("reason") or "")),
            detail=str(said.get("detail") or ""),
            deliveries=said.get("deliveries"),
            worker=said.get("worker"),
            died=_moment(said.get("died")),
            message=body,
            headers=headers,
            args=str(headers.get("argsrepr") or ""),
            kwargs=str(headers.get("kwargsrepr") or ""),
        )

    def _by_server(self, death: dict[str, Any]) -> dict[str, Any]:
        reason = str(death.get("reason"))
        return {
            "queue": death.get("queue"),
            "reason": str(_SERVERS.get(reason, DeadReason.OTHER)),
            "detail": _WORDS.get(reason, f"the server says {reason}"),
            "deliveries": self._max_deliveries + 1 if reason == "delivery_limit" else None,
            "died": death.get("time"),
        }

    def _id(self, wire: dict[str, Any], body: bytes) -> str:
        """The same at every look. Messages that are equal to the last bit are told apart by their order."""
        told = {name: value for name, value in wire.items() if name not in {"x-delivery-count", "x-acquired-count"}}
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode() + b"\0" + body).hexdigest()[:20]
        number = self._seen[digest] = self._seen.get(digest, 0) + 1
        return digest if number == 1 else f"{digest}-{number}"


def _place(letter: DeadLetter) -> str:
    """Where a letter stands among the others: by the time of its death."""
    return f"{letter.died.astimezone(UTC).isoformat(timespec='microseconds')} {letter.id}"


def _moment(value: Any) -> datetime:
    """When a letter died, by the server's word or the worker's."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
