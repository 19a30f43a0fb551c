"""Units of work on the database, one for each task or request."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.database import Database
from infrastructure.database.engines import translated

__all__ = ["AsyncSqlUnitOfWork", "SqlUnitOfWork"]

_OPEN = "a transaction of this unit of work is open already: one ends before the next begins"
_CLOSED = "no transaction is open: a repository is used inside of `with unit:`"


class SqlUnitOfWork:
    """Fulfils :class:`core.transactions.UnitOfWork`. Repositories use :attr:`session`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: Session | None = None

    @property
    def session(self) -> Session:
        """The session of the transaction that is open.

        Raises:
            RuntimeError: none is.
        """
        if self._session is None:
            raise RuntimeError(_CLOSED)
        return self._session

    def __enter__(self) -> Self:
        """See :meth:`core.transactions.UnitOfWork.__enter__`."""
        if self._session is not None:
            raise RuntimeError(_OPEN)
        self._session = self._database.session(writes=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """See :meth:`core.transactions.UnitOfWork.__exit__`."""
        session, self._session = self.session, None
        try:
            with translated():
                if error is None:
                    session.commit()
                elif isinstance(error, SQLAlchemyError):
                    raise error
        finally:
            session.close()  # rolls back what was not committed

    def close(self) -> None:
        """Roll back what was left open."""
        if self._session is not None:
            self._session.close()
            self._session = None


class AsyncSqlUnitOfWork:
    """Fulfils :class:`core.transactions.AsyncUnitOfWork`. Repositories use :attr:`session`."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database
        self._session: AsyncSession | None = None

    @property
    def session(self) -> AsyncSession:
        """The session of the transaction that is open.

        Raises:
            RuntimeError: none is.
        """
        if self._session is None:
            raise RuntimeError(_CLOSED)
        return self._session

    async def __aenter__(self) -> Self:
        """See :meth:`core.transactions.AsyncUnitOfWork.__aenter__`."""
        if self._session is not None:
            raise RuntimeError(_OPEN)
        self._session = await self._database.session(writes=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """See :meth:`core.transactions.AsyncUnitOfWork.__aexit__`."""
        session, self._session = self.session, None
        try:
            with translated():
                if error is None:
                    await session.commit()
                elif isinstance(error, SQLAlchemyError):
                    raise error
        finally:
            await session.close()  # rolls back what was not committed
