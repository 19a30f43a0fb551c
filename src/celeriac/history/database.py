"""The database: its address as people write it, and an engine that suits it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from celeriac.exceptions import HistoryUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import URL

__all__ = ["WRITES", "address_of", "engine_of", "is_sqlite", "one_writer", "suit_sqlite"]

WRITES: Final = {"celeriac_writes": True}
"""Execution options of a connection that is going to write."""
_DRIVERS: Final = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_BUSY: Final = 10.0
"""Seconds that a writer waits for another on SQLite."""
_PATIENCE: Final = 5
"""Seconds to connect."""
_LOCK: Final = 0x63656C65
"""Which lock of PostgreSQL's writers of the history share."""


def address_of(url: str) -> URL:
    """The URL of a database for a driver that blocks, whichever one it names: ``sqlite+aiosqlite`` is ``sqlite``.

    Raises:
        HistoryUnavailable: it is no URL, or of another kind of database.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise HistoryUnavailable(database="the database", reason="its URL cannot be read") from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        reason = "history is kept in SQLite or PostgreSQL: write sqlite:///file.db or postgresql://user@host/name"
        raise HistoryUnavailable(database=parsed.render_as_string(), reason=reason)
    return parsed.set(drivername=driver)


def is_sqlite(engine: Engine | Connection) -> bool:
    """Whether it is SQLite."""
    return engine.dialect.name == "sqlite"


def engine_of(url: str) -> Engine:
    """An engine; connects at first use.

    Raises:
        HistoryUnavailable: the URL is none, or the driver is not installed.
    """
    address = address_of(url)
    try:
        if address.get_backend_name() != "sqlite":
            options: dict[str, Any] = {"connect_timeout": _PATIENCE}
            return create_engine(address, pool_pre_ping=True, pool_size=5, pool_recycle=1800, connect_args=options)
        if address.database and address.database != ":memory:":
            Path(address.database).absolute().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(address, connect_args={"timeout": _BUSY, "check_same_thread": False})
    except (ModuleNotFoundError, OSError) as error:
        raise HistoryUnavailable(database=address.render_as_string(), reason=str(error)) from error
    suit_sqlite(engine)
    return engine


def suit_sqlite(engine: Engine) -> None:
    """Let an engine of SQLite's serve many processes: one writes, who comes next waits, and readers go on.

    A connection with :data:`WRITES` begins its transactions as the one who writes.
    """
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)


def one_writer(connection: Connection) -> None:
    """Wait until no other process writes the history, until the end of the transaction.

    On SQLite a transaction that writes begins so. Rows are read, changed and written back: two at once would each miss
    what the other knows.
    """
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = (
        None  # so that the driver begins no transactions by itself, which would be the wrong ones
    )
    cursor = connection.cursor()
    # Readers and one writer at a time; a commit survives the process, and a power cut may cost the last ones.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={int(_BUSY * 1000)}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("celeriac_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
