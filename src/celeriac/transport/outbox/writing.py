"""Putting a call into the outbox, inside of whatever transaction is open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.utils.json import dumps
from sqlalchemy import Connection, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session, scoped_session

from celeriac.transport.outbox.rows import OutboxRow

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["put", "put_call"]


def put(session: Any, values: Mapping[str, Any]) -> None:
    """Have a row written with the transaction of a session or of a connection.

    Raises:
        TypeError: it is neither, or a connection that only coroutines may use.
    """
    given: Any = session
    if isinstance(session, Session | AsyncSession | scoped_session):
        given.add(OutboxRow(**values))  # written by the flush that comes before the commit
    elif isinstance(session, Connection):
        given.execute(insert(OutboxRow).values(**values))
    elif isinstance(session, AsyncConnection):
        msg = "an AsyncConnection is asked by its run_sync(): await connection.run_sync(handle.delay_on_commit, ...)"
        raise TypeError(msg)
    else:
        msg = f"delay_on_commit() takes a session or a connection of SQLAlchemy's, not {type(session).__name__}"
        raise TypeError(msg)


def put_call(args: Any, kwargs: Any, options: Mapping[str, Any]) -> str:
    """A call as the row keeps it, whose options hold nothing but what JSON carries."""
    text: str = dumps({"args": args, "kwargs": kwargs, "options": dict(options)})
    return text
