"""Transactions: what a use case changes together, or not at all."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from core.errors import UnavailableError

__all__ = ["AsyncUnitOfWork", "DatabaseUnavailableError", "UnitOfWork"]


class DatabaseUnavailableError(UnavailableError):
    """The database is away, or does not answer in time; nothing of the transaction is kept."""


class UnitOfWork(Protocol):
    """One transaction at a time, shared by every repository of a task.

    ::

        with self._unit:
            user = self._users.add(email)
            self._follow_ups.welcome(user)

    What is done inside is kept together when the block ends, and not at all when an exception leaves it. Calls of tasks
    that repositories and follow-ups make inside belong to it, too.
    """

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            DatabaseUnavailableError: the database is away.
            RuntimeError: a transaction is open already.
        """
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Keep it all, or nothing.

        Raises:
            DatabaseUnavailableError: the database is away. If it went while the transaction was being kept, nobody
                knows whether it was: a use case has to be one that can be repeated.
        """
        ...


class AsyncUnitOfWork(Protocol):
    """The same for coroutines: ``async with``."""

    async def __aenter__(self) -> Self:
        """Begin.

        Raises:
            DatabaseUnavailableError: the database is away.
            RuntimeError: a transaction is open already.
        """
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Keep it all, or nothing.

        Raises:
            DatabaseUnavailableError: the database is away, as for :class:`UnitOfWork`.
        """
        ...
