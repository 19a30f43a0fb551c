"""Users of a service's database, and what they did there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from infrastructure.database.database import Database
from infrastructure.database.models import ActivityRow, UserRow
from infrastructure.database.unit_of_work import SqlUnitOfWork

__all__ = ["AT", "add_activities", "add_user"]

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
"""When everybody came, and began to do things."""
_AT_ONCE = 10_000


def add_user(database: Database, name: str = "ada", at: datetime = AT) -> int:
    """A user; gives the id."""
    with SqlUnitOfWork(database) as unit:
        row = UserRow(email=f"{name}@example.org", name=name, created=at)
        unit.session.add(row)
        unit.session.flush()
        return row.id


def add_activities(
    database: Database, user_id: int, count: int, at: datetime = AT, apart: timedelta = timedelta(seconds=1)
) -> None:
    """So many things that a user did, one after another."""
    for first in range(0, count, _AT_ONCE):
        rows = [
            {
                "user_id": user_id,
                "at": at + number * apart,
                "kind": "login",
                "details": {"number": number, "agent": "Mozilla/5.0 (X11; Linux x86_64)"},
            }
            for number in range(first, min(count, first + _AT_ONCE))
        ]
        with SqlUnitOfWork(database) as unit:
            unit.session.execute(insert(ActivityRow), rows)
