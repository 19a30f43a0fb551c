"""The database of one process, for code that blocks."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import closing, contextmanager

from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from celeriac.history.database import WRITES, is_sqlite
from infrastructure.database.engines import engine, translated

__all__ = ["Database"]


class Database:
    """Sessions on one pool of connections. A forked process has a database, and so a pool, of its own.

    On SQLite, and outside of production, the tables are made at the first use. A PostgreSQL server in production gets
    them by ``make migrate``, from whoever rolls a release out.

    Args:
        url: SQLite or PostgreSQL; ``None`` where there is none, which is an error of whoever asks for a session.
        production: whether this is the service that people use.
    """

    def __init__(self, url: SecretStr | None, *, production: bool) -> None:
        self.url = url
        self._production = production
        self._lock = threading.Lock()
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The engine, whose tables are there.

        Raises:
            DatabaseUnavailableError: there is no database, or it is away.
        """
        if (found := self._engine) is None:
            with self._lock:
                found = self._engine = self._engine or self._opened()
        return found

    def session(self, *, writes: bool = False) -> Session:
        """A session; whoever asked for it closes it, and commits.

        Args:
            writes: whether it is going to write; on SQLite, one such transaction waits for the other as it begins.

        Raises:
            DatabaseUnavailableError: there is no database, or it is away.
        """
        found = self.engine
        bound = found.execution_options(**WRITES) if writes else found
        return Session(bound, expire_on_commit=False)

    @contextmanager
    def reading(self) -> Generator[Session]:
        """A session to read from, in one transaction of its own that takes nobody's turn.

        Raises:
            DatabaseUnavailableError: there is no database, or it went away.
        """
        with closing(self.session()) as session, translated():
            yield session

    def close(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _opened(self) -> Engine:
        made = engine(self.url)
        if is_sqlite(made) or not self._production:
            # A server in production is spared what loads to change tables.
            from infrastructure.database.schema import upgrade  # noqa: PLC0415

            try:
                with translated():
                    upgrade(made)
            except BaseException:
                made.dispose()
                raise
        return made
