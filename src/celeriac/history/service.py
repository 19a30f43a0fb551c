"""What happened to each task: the way in for whoever asks."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from celery import states
from redis.exceptions import RedisError

from celeriac.exceptions import HistoryError, HistoryUnavailable
from celeriac.history.facts import join
from celeriac.history.records import HistoryFigures, HistoryFilter
from celeriac.history.stored import facts_of_meta
from celeriac.history.story import record_of, state_of
from celeriac.history.streams import HistoryStreams

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import datetime

    from celery import Celery

    from celeriac.history.facts import Facts
    from celeriac.history.records import HistoryPage, TaskRecord
    from celeriac.history.repository import HistoryRepository

__all__ = ["TaskHistory"]

logger = logging.getLogger(__name__)

_EVERY: Final = HistoryFilter()
_PRUNED_AT_ONCE: Final = 1000


class TaskHistory:
    """The history of an application's tasks. Any number of threads may use it, and forked children.

    It connects at the first question. What the database does not know yet, because it is a moment behind, is looked for
    where it waits, so a task is found from the moment at which it was published.

    Every method raises:
        HistoryUnavailable: the database does not answer, has no tables, or there is none.

    Args:
        app: whose tasks.
        database_url: the database, where it is another than ``app.conf.history_database_url``.
    """

    def __init__(self, app: Celery, *, database_url: str | None = None) -> None:
        conf: Any = app.conf
        self._app = app
        self._url = database_url or conf.get("history_database_url")
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._repository: HistoryRepository | None = None
        self._streams: HistoryStreams | None = None

    def __repr__(self) -> str:
        return f"<history of {self._app.main!r}>"

    def get(self, task_id: str) -> TaskRecord | None:
        """What happened to one task, its children included; ``None`` for an id that nobody knows."""
        with self._translated() as repository:
            facts = repository.facts(task_id)
            children = () if facts is None else repository.children(task_id)
        if facts is None or not state_of(facts).ended:
            facts = self._fresher(task_id, facts)
        if facts is None:
            with self._translated() as repository:
                facts = repository.waiting(task_id)
        return None if facts is None else replace(record_of(task_id, facts), children=children)

    def page(self, chosen: HistoryFilter = _EVERY, cursor: str | None = None, limit: int = 50) -> HistoryPage:
        """Some tasks, the newest first; a second or so behind.

        Args:
            chosen: which.
            cursor: what the page before ended with.
            limit: how many, at most.

        Raises:
            InvalidCursor: no page ended with that.
        """
        with self._translated() as repository:
            return repository.page(chosen, cursor, limit)

    def count(self, chosen: HistoryFilter = _EVERY) -> int:
        """How many tasks fit."""
        with self._translated() as repository:
            return repository.count(chosen)

    def ids(self, chosen: HistoryFilter = _EVERY, limit: int | None = None) -> Iterator[str]:
        """Ids of the tasks that fit, the newest first, in little memory however many there are."""
        with self._translated() as repository:
            yield from repository.ids(chosen, limit)

    def figures(self) -> HistoryFigures:
        """How far the database is behind, for dashboards and alarms.

        Raises:
            HistoryUnavailable: Redis does not answer, either.
        """
        try:
            backlog = self._open_streams().backlog()
        except RedisError as error:
            raise HistoryUnavailable(database="the stream on Redis", reason=str(error)) from error
        return HistoryFigures(backlog=backlog.entries, lag=backlog.age, tasks=self.count())

    def prune(self, before: datetime) -> int:
        """Forget tasks of which nothing was heard since, in bounded transactions; how many it were."""
        total = 0
        with self._translated() as repository:
            while pruned := repository.prune(before, _PRUNED_AT_ONCE):
                total += pruned
        return total

    def close(self) -> None:
        """Close the connections. The next question opens what it needs."""
        with self._lock:
            repository, self._repository = self._repository, None
            streams, self._streams = self._streams, None
        if self._pid == os.getpid():
            if repository is not None:
                repository.engine.dispose()
            if streams is not None:
                streams.close()

    # -- what the database does not know yet

    def _fresher(self, task_id: str, facts: Facts | None) -> Facts | None:
        """The same with what waits on Redis: in the stream, or as a result."""
        try:
            waiting = self._open_streams().find(task_id)
            if waiting is not None:
                facts = waiting if facts is None else join(facts, waiting)
            if facts is None or not state_of(facts).ended:
                stored = self._stored(task_id, facts)
                if stored is not None:
                    facts = stored if facts is None else join(facts, stored)
        except (RedisError, OSError) as error:
            if facts is None:
                raise HistoryUnavailable(database="the stream on Redis", reason=str(error)) from error
            logger.warning("what happened lately to %s is not known: %s", task_id, error)
        return facts

    def _stored(self, task_id: str, facts: Facts | None) -> Facts | None:
        """What the result backend says, where that is more than is known."""
        backend: Any = self._app.backend
        if not hasattr(backend, "writer"):
            return None
        meta = backend.get_task_meta(task_id, cache=False)
        state = meta.get("status", states.PENDING)
        if state == states.PENDING or (facts and facts.get("runs") and state not in states.READY_STATES):
            return None
        record = record_of(task_id, facts or {})
        known = self._app.tasks.get(record.name or "")
        shows = known is not None and not getattr(known, "secret_result", False)
        return facts_of_meta(meta, record.retries, shows=shows)

    # -- connections

    def _open_streams(self) -> HistoryStreams:
        with self._lock:
            self._notice_a_fork()
            if self._streams is None:
                self._streams = HistoryStreams(self._app)
            return self._streams

    def _open(self) -> HistoryRepository:
        if not self._url:
            reason = "history is off: set DATABASE_URL, or CELERY_HISTORY_DATABASE_URL, and CELERY_HISTORY_ENABLED"
            raise HistoryUnavailable(database="no database", reason=reason)
        with self._lock:
            self._notice_a_fork()
            if self._repository is None:
                self._repository = _connected(self._url, self._app)
            return self._repository

    def _notice_a_fork(self) -> None:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            if self._repository is not None:
                self._repository.engine.dispose(close=False)
            self._repository = self._streams = None

    @contextmanager
    def _translated(self) -> Generator[HistoryRepository]:
        try:
            yield self._open()
        except HistoryError:
            raise
        except Exception as error:
            if (reason := _trouble(error)) is None:
                raise
            raise HistoryUnavailable(database=self._shown, reason=reason) from error

    @property
    def _shown(self) -> str:
        """The database's URL without its password."""
        from celeriac.history.database import address_of  # noqa: PLC0415  SQLAlchemy comes by an extra

        return address_of(str(self._url)).render_as_string(hide_password=True)


def _connected(url: str, app: Celery) -> HistoryRepository:
    """The repository of a database, whose tables are made where that is nobody else's business.

    Raises:
        HistoryUnavailable: the URL is none, or what it needs is not installed.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer.
    """
    try:
        from celeriac.history.database import engine_of  # noqa: PLC0415  SQLAlchemy comes by an extra
        from celeriac.history.repository import HistoryRepository  # noqa: PLC0415  likewise
        from celeriac.history.schema import upgrade_where_allowed  # noqa: PLC0415  likewise
    except ModuleNotFoundError as error:
        reason = f"{error.name} is not installed. Install the extra: pip install 'celeriac[sql]'"
        raise HistoryUnavailable(database="the database", reason=reason) from error
    engine = engine_of(url)
    try:
        upgrade_where_allowed(engine, str(app.conf.get("environment")))
    except BaseException:
        engine.dispose()
        raise
    return HistoryRepository(engine)


def _trouble(error: Exception) -> str | None:
    """What is wrong with the database, in a line, and what to do about it; ``None`` for other errors."""
    from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError  # noqa: PLC0415  as above

    if not isinstance(error, SQLAlchemyError):
        return None
    line = (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).partition("\n")[0]
    missing = isinstance(error, OperationalError | ProgrammingError) and "celeriac_" in line
    return f"{line}. `celeriac db upgrade` makes the tables" if missing else line
