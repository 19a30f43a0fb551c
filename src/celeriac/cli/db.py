"""``celeriac db``: the tables that history and outbox need."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from celeriac.exceptions import HistoryUnavailable
from celeriac.options.variables import values_from

__all__ = ["db"]

db = typer.Typer(help="Make and change the tables of history and outbox.", no_args_is_help=True)

Url = Annotated[str | None, typer.Option("--url", help="The database, instead of DATABASE_URL.")]


@db.command("upgrade")
def upgrade_tables(url: Url = None) -> None:
    """Bring the tables up to date. Safe to run from several places at once."""
    _run(url, change=True)


@db.command("current")
def show_current(url: Url = None) -> None:
    """Say which version the tables have, and which this release wants."""
    _run(url, change=False)


def _run(url: str | None, *, change: bool) -> None:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  comes by the extra sql

    from celeriac.history.database import engine_of  # noqa: PLC0415  likewise
    from celeriac.history.schema import MIGRATIONS  # noqa: PLC0415  likewise

    found = url or values_from(os.environ, ["history_database_url"]).get("history_database_url", ("", ""))[1]
    if not found:
        sys.exit("celeriac: DATABASE_URL is not set, and --url neither")
    try:
        engine = engine_of(found)
        try:
            if change:
                MIGRATIONS.upgrade(engine)
            typer.echo(f"version {MIGRATIONS.current(engine) or 'none'} of {MIGRATIONS.newest()}")
        finally:
            engine.dispose()
    except HistoryUnavailable as error:
        sys.exit(f"celeriac: {error}")
    except SQLAlchemyError as error:
        sys.exit(f"celeriac: {str(error).partition(chr(10))[0]}")
