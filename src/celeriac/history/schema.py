"""The tables of history and outbox: making them, and changing them from release to release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from celeriac.history.database import is_sqlite
from celeriac.history.migrating import Migrations

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["MIGRATIONS", "upgrade", "upgrade_where_allowed"]

MIGRATIONS: Final = Migrations(Path(__file__).parent / "migrations", "celeriac_alembic_version")
"""In a table of our own, beside that of a service which has migrations, too."""


def upgrade(engine: Engine) -> None:
    """Bring the tables up to date. Several processes may do so at once: one does, the others wait.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or refuses.
    """
    MIGRATIONS.upgrade(engine)


def upgrade_where_allowed(engine: Engine, environment: str) -> None:
    """The same for SQLite, and outside of production: there, tables are changed by whoever rolls a release out.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: as :func:`upgrade`.
    """
    if is_sqlite(engine) or environment != "production":
        upgrade(engine)
