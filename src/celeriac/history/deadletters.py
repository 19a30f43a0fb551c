"""Dead letters: look at them, send them back, or throw them away, the same way on Redis and on RabbitMQ."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celeriac.exceptions import ConfigurationError, LostQueue, UnknownDeadLetter
from celeriac.history.letters import DeadLetter, DeadLetterFigures, DeadLetterFilter, DeadLetterPage, MoveReport
from celeriac.history.rabbitmq_store import RabbitStore
from celeriac.history.redis_store import RedisStore
from celeriac.options.address import is_rabbitmq, is_redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from celeriac.history.letters import DeadReason
    from celeriac.history.store import DeadLetterStore, Found

__all__ = ["DeadLetters"]

_EVERY: Final = DeadLetterFilter()
_MOST_COUNTED: Final = 10_000


class DeadLetters:
    """The dead letters of an application's broker.

    On Redis each method sees all of them, at any time. On RabbitMQ, which has queues and no tables, they are taken from
    their queue one after another and put back: while one process looks, others see fewer, and a look takes about a
    millisecond for each. Nothing is ever lost by looking: what a killed process had in hand is back at once.

    Every method raises:
        ConfigurationError: the broker is neither Redis nor RabbitMQ.
        OSError: it does not answer, in the error class of its library.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app

    def list(
        self,
        limit: int = 50,
        cursor: str | None = None,
        *,
        task: str | None = None,
        queue: str | None = None,
        reason: DeadReason | str | None = None,
        since: datetime | None = None,
    ) -> DeadLetterPage:
        """A page of those that fit, oldest first.

        Args:
            limit: how many, at most.
            cursor: the one of the page before.
            task: only of the task with this name.
            queue: only from this queue.
            reason: only those that died of this.
            since: only those that died then or later; with a time zone.
        """
        chosen = DeadLetterFilter(task=task, queue=queue, reason=reason, since=since)
        return self._store.page(limit, chosen.fits, cursor)

    def show(self, letter_id: str) -> DeadLetter:
        """One dead letter.

        Raises:
            UnknownDeadLetter: none has that id.
        """
        with self._store.walk(only=letter_id) as found:
            for each in found:
                return each.letter
        raise UnknownDeadLetter(id=letter_id)

    def replay(self, letter_id: str) -> DeadLetter:
        """Put one back into its queue as it was, its deliveries forgotten. Atomic: neither lost nor doubled.

        Raises:
            UnknownDeadLetter: none has that id.
            LostQueue: its queue is gone.
        """
        return self._move_one(letter_id, lambda each: each.replay())

    def drop(self, letter_id: str) -> DeadLetter:
        """Throw one away. It is gone, but for what is returned.

        Raises:
            UnknownDeadLetter: none has that id.
        """
        return self._move_one(letter_id, lambda each: each.drop())

    def replay_some(
        self,
        chosen: DeadLetterFilter = _EVERY,
        *,
        rate: float | None = None,
        limit: int | None = None,
        dry_run: bool = False,
    ) -> MoveReport:
        """Put back those that fit, oldest first. Those that die while it runs are left alone.

        Args:
            chosen: which.
            rate: how many a second, at most: workers that could not cope once should not get all of them at once.
            limit: how many in all, at most.
            dry_run: only say which it would be.
        """
        return self._move_some(chosen, lambda each: each.replay(), rate=rate, limit=limit, dry_run=dry_run)

    def drop_some(
        self, chosen: DeadLetterFilter = _EVERY, *, limit: int | None = None, dry_run: bool = False
    ) -> MoveReport:
        """Throw away those that fit, oldest first; arguments as for :meth:`replay_some`."""
        return self._move_some(chosen, lambda each: each.drop(), rate=None, limit=limit, dry_run=dry_run)

    def figures(self) -> DeadLetterFigures:
        """How many there are, how old the oldest is, and of what kinds."""
        tasks: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        queues: Counter[str] = Counter()
        oldest: datetime | None = None
        store = self._store
        count, counted = store.count(), 0
        with store.walk() as found:
            for each in found:
                letter = each.letter
                oldest = letter.died if oldest is None else min(oldest, letter.died)
                tasks[letter.task or ""] += 1
                reasons[str(letter.reason)] += 1
                queues[letter.queue] += 1
                counted += 1
                if counted == _MOST_COUNTED:
                    break
        age = None if oldest is None else max((datetime.now(UTC) - oldest).total_seconds(), 0.0)
        return DeadLetterFigures(max(count, counted), age, dict(tasks), dict(reasons), dict(queues), counted)

    @property
    def _store(self) -> DeadLetterStore:
        conf: Any = self._app.conf
        url = str(conf.broker_read_url or "")
        if is_redis(url):
            return RedisStore(url, {"ssl": conf.broker_use_ssl or None, **(conf.broker_transport_options or {})})
        if is_rabbitmq(url):
            return RabbitStore(self._app)
        msg = f"dead letters are kept on Redis and RabbitMQ, and the broker is {url.partition('://')[0] or 'neither'}"
        raise ConfigurationError(msg)

    def _move_one(self, letter_id: str, move: Callable[[Found], bool]) -> DeadLetter:
        with self._store.walk(only=letter_id) as found:
            for each in found:
                if move(each):
                    return each.letter
        raise UnknownDeadLetter(id=letter_id)

    def _move_some(
        self,
        chosen: DeadLetterFilter,
        move: Callable[[Found], bool],
        *,
        rate: float | None,
        limit: int | None,
        dry_run: bool,
    ) -> MoveReport:
        started, begun = time.monotonic(), datetime.now(UTC)
        done: list[str] = []
        failed: dict[str, str] = {}
        with self._store.walk() as found:
            for each in found:
                letter = each.letter
                if letter.died > begun and not dry_run:
                    continue
                if not chosen.fits(letter):
                    continue
                if limit is not None and len(done) >= limit:
                    break
                if dry_run:
                    done.append(letter.id)
                    continue
                if rate:
                    time.sleep(max(started + len(done) / rate - time.monotonic(), 0.0))
                try:
                    if move(each):
                        done.append(letter.id)
                except LostQueue as error:
                    failed[letter.id] = str(error)
        return MoveReport(tuple(done), failed, dry_run, time.monotonic() - started)
