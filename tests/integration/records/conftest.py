"""The service's database, SQLite and PostgreSQL, empty for each test."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import delete

from infrastructure.database.database import Database
from infrastructure.database.models import Base
from infrastructure.database.unit_of_work import SqlUnitOfWork


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    return str(request.getfixturevalue("database_url"))


@pytest.fixture
def database(url: str) -> Generator[Database]:
    database = Database(SecretStr(url), production=False)
    with SqlUnitOfWork(database) as unit:
        for table in reversed(Base.metadata.sorted_tables):
            unit.session.execute(delete(table))
    yield database
    database.close()


@pytest.fixture
def unit(database: Database) -> SqlUnitOfWork:
    return SqlUnitOfWork(database)
