"""Engines for the service's database, for code that blocks and for coroutines."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from celeriac.history.database import address_of, engine_of, suit_sqlite
from core.transactions import DatabaseUnavailableError

__all__ = ["async_engine", "engine", "translated"]

_PATIENCE: Final = 5
"""Seconds to connect."""
_READ_ONLY: Final = "25006"
"""PostgreSQL's code of a write that a server refuses since it is no primary."""
_ASYNC_DRIVERS: Final = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


def engine(url: SecretStr | None) -> Engine:
    """An engine; connects at first use.

    Raises:
        DatabaseUnavailableError: there is no database.
        celeriac.exceptions.HistoryUnavailable: the URL is none, or the driver is not installed.
    """
    return _suited(engine_of(_said(url)))


def async_engine(url: SecretStr | None) -> AsyncEngine:
    """An engine for the coroutines of one event loop; connects at first use.

    Raises:
        DatabaseUnavailableError: there is no database.
        celeriac.exceptions.HistoryUnavailable: the URL is none.
    """
    address: URL = address_of(_said(url))
    address = address.set(drivername=_ASYNC_DRIVERS[address.get_backend_name()])
    if address.get_backend_name() == "sqlite":
        made = create_async_engine(address)
        suit_sqlite(made.sync_engine)
    else:
        options: dict[str, Any] = {"connect_timeout": _PATIENCE}
        made = create_async_engine(address, pool_pre_ping=True, pool_size=5, pool_recycle=1800, connect_args=options)
    _suited(made.sync_engine)
    return made


@contextmanager
def translated() -> Generator[None]:
    """Tell use cases in their own terms that the database is away; let every other error pass.

    Raises:
        DatabaseUnavailableError: it is.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if (problem := _lost(error)) is not None:
            raise problem from error
        raise


def _lost(error: SQLAlchemyError) -> DatabaseUnavailableError | None:
    if isinstance(error, PoolTimeoutError):
        return DatabaseUnavailableError("the database has no connection left for this process: all are in use")
    if isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    ):
        if _is_read_only(error.orig):
            return DatabaseUnavailableError("the database takes no writes: its server is read-only, as a standby is")
        line = str(error.orig).strip().partition("\n")[0]
        return DatabaseUnavailableError(f"the database does not answer: {line}")
    return None


def _suited(engine: Engine) -> Engine:
    """What the service wants of any engine: errors that quote nobody's data, and no connection to a former primary."""
    engine.hide_parameters = True
    event.listen(engine, "handle_error", _leave_standby)
    _hold_references(engine)
    return engine


def _leave_standby(context: ExceptionContext) -> None:
    """Give up the connections, so that the next ones are made to the server that took over."""
    if _is_read_only(context.original_exception):
        context.is_disconnect = True


def _is_read_only(error: BaseException | None) -> bool:
    return getattr(error, "sqlstate", None) == _READ_ONLY


def _hold_references(engine: Engine) -> None:
    """SQLite looks after foreign keys only where it is told to, on each connection."""

    def tell(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", tell)


def _said(url: SecretStr | None) -> str:
    if url is None:
        msg = (
            "there is no database: set DATABASE_URL, for example to sqlite:///service.db or postgresql://user@host/name"
        )
        raise DatabaseUnavailableError(msg)
    return url.get_secret_value()
