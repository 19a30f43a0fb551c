"""Rows that are put down once, however often they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from infrastructure.database.models.base import Base

__all__ = ["put", "put_all", "put_new"]

_BATCH: Final = 1_000
"""Rows that are handed over at a time."""


def put(session: Session, model: type[Base], /, **values: Any) -> None:
    """Write a row, in place of the one with the same primary key.

    One statement does it, so two who write the same row at the same time do not get in each other's way.
    """
    put_all(session, model, [values])


def put_all(session: Session, model: type[Base], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as :func:`put` does, many at a time. They name the same columns, and no two have one key."""
    key = [column.name for column in model.__table__.primary_key]
    rest = iter(rows)
    while batch := list(islice(rest, _BATCH)):
        statement = _insert(session, model)
        changed = {name: statement.excluded[name] for name in batch[0] if name not in key}
        session.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), batch)


def put_new(session: Session, model: type[Base], /, **values: Any) -> None:
    """Write a row unless there is one with the same primary key, which stays as it is."""
    session.execute(_insert(session, model).values(values).on_conflict_do_nothing())


def _insert(session: Session, model: type[Base]) -> postgresql.Insert | sqlite.Insert:
    on_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(model) if on_postgresql else sqlite.insert(model)
