"""Making the service's tables, and changing them from release to release."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from celeriac.history import schema as kit
from celeriac.history.migrating import Migrations

__all__ = ["MIGRATIONS", "upgrade"]

MIGRATIONS: Final = Migrations(Path(__file__).parent / "migrations", "alembic_version")


def upgrade(engine: Engine) -> None:
    """Bring all tables up to date: the service's, and those of history and outbox.

    Several processes may do so at once: one does, the others wait.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or refuses.
    """
    kit.upgrade(engine)
    MIGRATIONS.upgrade(engine)
