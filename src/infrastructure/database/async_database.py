"""The database of one process, for coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from celeriac.history.database import WRITES
from infrastructure.database.database import Database
from infrastructure.database.engines import async_engine, translated

__all__ = ["AsyncDatabase"]


class AsyncDatabase:
    """Sessions for coroutines, on one pool of connections for each event loop.

    A connection belongs to the loop that opened it: used on another one, it fails with "attached to a different loop".
    A worker's process has one loop for all its tasks and an HTTP server has one, so each has one pool; a test that
    makes a loop for itself gets a pool for itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._engines: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncEngine] = WeakKeyDictionary()

    async def session(self, *, writes: bool = False) -> AsyncSession:
        """A session; whoever asked for it closes it, and commits.

        Args:
            writes: whether it is going to write, as for :meth:`Database.session`.

        Raises:
            DatabaseUnavailableError: there is no database, or it is away.
        """
        loop = asyncio.get_running_loop()
        if (found := self._engines.get(loop)) is None:
            await asyncio.to_thread(lambda: self._database.engine)  # makes the tables, where that is its business
            found = self._engines.setdefault(loop, async_engine(self._database.url))
        bound = found.execution_options(**WRITES) if writes else found
        return AsyncSession(bound, expire_on_commit=False)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session to read from, in one transaction of its own that takes nobody's turn.

        Raises:
            DatabaseUnavailableError: there is no database, or it went away.
        """
        async with await self.session() as session:
            with translated():
                yield session

    async def aclose(self) -> None:
        """Close the connections of the loop that runs here."""
        if (found := self._engines.pop(asyncio.get_running_loop(), None)) is not None:
            await found.dispose()

    def close(self) -> None:
        """Close what is left, of loops that have ended and of some that have not."""
        for found in list(self._engines.values()):
            found.sync_engine.dispose(close=False)
        self._engines.clear()
