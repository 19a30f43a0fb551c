"""A PostgreSQL database of one's own, on a server that others use too."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from celeriac.exceptions import ServerNotFound

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["postgres_server"]

_LOCAL: Final = "postgresql://postgres@localhost:5432/postgres"


@contextmanager
def postgres_server() -> Generator[str]:
    """The URL of an empty PostgreSQL database of one's own, gone at the end.

    In this order: on the server of ``TEST_DATABASE_URL``; on one that lets ``postgres`` in on localhost.

    Raises:
        ServerNotFound: neither is there, or may make no database.
    """
    from sqlalchemy import create_engine, make_url, text  # noqa: PLC0415  comes by the extra sql
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  likewise

    url = make_url(os.environ.get("TEST_DATABASE_URL") or _LOCAL).set(drivername="postgresql+psycopg")
    name = f"celeriac_{uuid4().hex[:12]}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    try:
        try:
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise ServerNotFound(
                server="PostgreSQL",
                tried=f"{url.render_as_string()} does not answer, or lets nobody make a database",
                remedy="Name a server in TEST_DATABASE_URL",
            ) from error
        try:
            yield url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
        finally:
            with engine.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    finally:
        engine.dispose()
