"""Bringing the tables of somebody up to date, by alembic, from whichever process comes first."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from celeriac.history.database import WRITES, one_writer

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

__all__ = ["Migrations"]

logging.getLogger("alembic.runtime").setLevel(logging.WARNING)  # what it plugs together is of no use in our log


class Migrations:
    """One line of versions.

    Args:
        place: the directory with ``env.py``, which is given its ``connection`` in ``config.attributes``.
        versions: the table in which it is written which version there is.
    """

    def __init__(self, place: Path, versions: str) -> None:
        self.versions: Final = versions
        self._place = place

    def upgrade(self, engine: Engine) -> None:
        """Go to the newest version. Several processes may do so at once: one does, the others wait.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database does not answer, or refuses.
        """
        if self.current(engine) == self.newest():
            return  # without waiting for whoever writes
        with engine.connect().execution_options(**WRITES) as connection, connection.begin():
            one_writer(connection)
            if self._of(connection) != self.newest():
                config = self._config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    def current(self, engine: Engine) -> str | None:
        """The version of the tables; ``None`` where there are none."""
        with engine.connect() as connection:
            return self._of(connection)

    def newest(self) -> str | None:
        """The version that this release wants."""
        return ScriptDirectory.from_config(self._config()).get_current_head()

    def _of(self, connection: Connection) -> str | None:
        return MigrationContext.configure(connection, opts={"version_table": self.versions}).get_current_revision()

    def _config(self) -> Config:
        config = Config()
        options: Any = config
        options.set_main_option("script_location", str(self._place))
        options.set_main_option("path_separator", "os")
        return config
