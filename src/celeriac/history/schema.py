"""Making the tables, and changing them from release to release."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from celeriac.history.database import WRITES, is_sqlite, one_writer

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["VERSIONS", "current", "newest", "upgrade", "upgrade_where_allowed"]

VERSIONS: Final = "celeriac_alembic_version"
"""A table of our own, beside that of a service which has migrations, too."""
_PLACE: Final = Path(__file__).parent / "migrations"
logging.getLogger("alembic.runtime").setLevel(logging.WARNING)  # what it plugs together is of no use in our log


def upgrade(engine: Engine) -> None:
    """Bring the tables up to date. Several processes may do so at once: one does, the others wait.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or refuses.
    """
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        one_writer(connection)
        if MigrationContext.configure(connection, opts={"version_table": VERSIONS}).get_current_revision() != newest():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def upgrade_where_allowed(engine: Engine, environment: str) -> None:
    """The same for SQLite, and outside of production: there, tables are changed by whoever rolls a release out.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: as :func:`upgrade`.
    """
    if is_sqlite(engine) or environment != "production":
        upgrade(engine)


def current(engine: Engine) -> str | None:
    """The version of the tables; ``None`` where there are none."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection, opts={"version_table": VERSIONS}).get_current_revision()


def newest() -> str | None:
    """The version that this release wants."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    options: Any = config
    options.set_main_option("script_location", str(_PLACE))
    options.set_main_option("path_separator", "os")
    return config
