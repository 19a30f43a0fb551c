"""The way in when the broker is away: a call is written into the database, and a worker sends it later."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from celeriac.exceptions import HistoryUnavailable

if TYPE_CHECKING:
    from celery import Celery
    from sqlalchemy import Engine

    from celeriac.tasks.call import Call
    from celeriac.tasks.handle import TaskHandle

__all__ = ["Outbox"]


class Outbox:
    """Writes calls into an app's outbox. Connects at the first one. Its methods block.

    Args:
        app: whose database and relay count.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app

    @property
    def there(self) -> bool:
        """Whether a worker of the app would send what is written."""
        conf: Any = self._app.conf
        return bool(conf.get("outbox_enabled") and conf.get("history_database_url"))

    def write(self, handle: TaskHandle[..., Any], call: Call) -> str:
        """Write a call, and commit; gives the task's id.

        Raises:
            HistoryUnavailable: the database does not take it.
        """
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  an extra

        from celeriac.history.database import WRITES  # noqa: PLC0415  likewise

        publisher: Any = handle.publisher
        try:
            with self._engine.connect().execution_options(**WRITES) as connection, connection.begin():
                return str(publisher.on_commit(connection, call).id)
        except SQLAlchemyError as error:
            reason = type(getattr(error, "orig", None) or error).__name__
            raise HistoryUnavailable(database=self._engine.url.render_as_string(), reason=reason) from error

    def close(self) -> None:
        """Close its connections; the next call opens another."""
        engine: Engine | None = vars(self).pop("_engine", None)
        if engine is not None:
            engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        from celeriac.history.database import engine_of  # noqa: PLC0415  an extra

        conf: Any = self._app.conf
        return engine_of(str(conf.get("history_database_url")))
