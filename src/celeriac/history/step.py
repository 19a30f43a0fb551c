"""The steps of a worker that keep the history and send the outbox, whatever its pool."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from celery import bootsteps, signals

from celeriac.exceptions import HistoryUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from celeriac.history.recorder import Recorder
    from celeriac.transport.outbox.relay import Relay

__all__ = ["KeepsHistory", "RelaysOutbox"]

logger = logging.getLogger(__name__)


class KeepsHistory(bootsteps.StartStopStep):
    """Runs a recorder in the worker's main process, if there is a database."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        self._recorder: Recorder | None = None
        super().__init__(parent, **kwargs)

    def start(self, parent: Any) -> None:
        """Begin to write down what the stream tells."""
        app = parent.app
        if not getattr(parent.pool, "consumes", False):  # there, messages wait in the worker before they are begun
            signals.task_received.connect(_received, weak=False, dispatch_uid="celeriac.history")
        if not app.conf.get("history_database_url"):
            logger.warning(
                "history is on and this worker has no database for it: what happens waits on Redis for one that has"
            )
            return
        try:
            self._recorder = recorder_of(app)
        except (HistoryUnavailable, ImportError) as error:
            logger.warning("the history is not written by this worker: %s", error)
            return
        self._recorder.start()
        # Steps stop before the pool does, which still has results to store.
        signals.worker_shutdown.connect(self._finish, weak=False, dispatch_uid="celeriac.history.step")

    def stop(self, parent: Any) -> None:
        """Nothing yet: the pool's last tasks are still to be told of."""

    terminate = stop

    def _finish(self, **_: Any) -> None:
        """Write what is left, now that no task runs."""
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.stop()


class RelaysOutbox(bootsteps.StartStopStep):
    """Runs the relay of the outbox in the worker's main process, if there is a database."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        self._relay: Relay | None = None
        super().__init__(parent, **kwargs)

    def start(self, parent: Any) -> None:
        """Begin to send what waits."""
        app = parent.app
        if not app.conf.get("history_database_url"):
            logger.warning("the outbox is on and this worker has no database: set DATABASE_URL")
            return
        try:
            from celeriac.transport.outbox.relay import Relay  # noqa: PLC0415  SQLAlchemy comes by an extra

            self._relay = Relay(app, *_database_of(app.conf))
        except (HistoryUnavailable, ImportError) as error:
            logger.warning("the outbox is not sent by this worker: %s", error)
            return
        self._relay.start()

    def stop(self, parent: Any) -> None:
        """Leave what waits to others."""
        del parent
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.stop()

    terminate = stop


def recorder_of(app: Any) -> Recorder:
    """A recorder for an app.

    Raises:
        HistoryUnavailable: the database's URL is none, or its driver is not installed.
        ImportError: the extra ``sql`` is not installed.
    """
    from celeriac.history.recorder import Recorder  # noqa: PLC0415  SQLAlchemy comes by an extra
    from celeriac.history.repository import HistoryRepository  # noqa: PLC0415  likewise
    from celeriac.history.streams import HistoryStreams  # noqa: PLC0415  likewise

    engine, prepare = _database_of(app.conf)
    retention = float(app.conf.get("history_retention") or 0)
    return Recorder(HistoryStreams(app), HistoryRepository(engine), prepare, retention)


def _database_of(conf: Any) -> tuple[Engine, Callable[[], None]]:
    """An engine, and what brings its tables up to date."""
    from celeriac.history.database import engine_of  # noqa: PLC0415  SQLAlchemy comes by an extra
    from celeriac.history.schema import upgrade_where_allowed  # noqa: PLC0415  likewise

    engine = engine_of(conf.history_database_url)
    return engine, partial(upgrade_where_allowed, engine, str(conf.get("environment")))


def _received(request: Any, sender: Any = None, **_: Any) -> None:
    """A message is in the worker's hands: the task waits for a process or a thread."""
    del sender
    journal = getattr(request.app.backend, "journal", None)
    if journal is not None:
        journal.received_one(request._context if hasattr(request, "_context") else request)  # noqa: SLF001
