"""Units of work on PostgreSQL, the service's own tables in a server that others use too."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from core.transactions import DatabaseUnavailableError
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.database import Database
from infrastructure.database.models import UserRow
from infrastructure.database.schema import upgrade
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork, SqlUnitOfWork

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
KILL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture
def database(database_url: str) -> Generator[Database]:
    database = Database(SecretStr(database_url), production=False)
    with database.engine.begin() as connection:
        connection.execute(text("TRUNCATE users CASCADE"))
    yield database
    database.close()


def user(email: str) -> UserRow:
    return UserRow(email=email, created=NOW)


def emails(database: Database) -> list[str]:
    with database.reading() as session:
        return sorted(session.scalars(select(UserRow.email)))


def cut_every_connection(url: str) -> None:
    other = Database(SecretStr(url), production=True)
    with other.session() as session:
        session.execute(text(KILL_OTHERS))
    other.close()


def test_together_or_not_at_all(database):
    unit = SqlUnitOfWork(database)
    with unit:
        unit.session.add(user("a@example.org"))
    with pytest.raises(IntegrityError), unit:
        unit.session.add_all([user("b@example.org"), user("a@example.org")])
    assert emails(database) == ["a@example.org"]


def test_a_database_that_goes_in_the_middle_leaves_nothing_and_is_worth_another_attempt(database, database_url):
    unit = SqlUnitOfWork(database)

    def broken() -> None:
        with unit:
            unit.session.add(user("a@example.org"))
            unit.session.flush()
            cut_every_connection(database_url)
            unit.session.add(user("b@example.org"))

    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        broken()
    assert emails(database) == []
    with unit:
        unit.session.add(user("c@example.org"))
    assert emails(database) == ["c@example.org"]


def test_the_same_for_coroutines(database, database_url):
    async def main() -> None:
        loops = AsyncDatabase(database)
        unit = AsyncSqlUnitOfWork(loops)

        async def broken() -> None:
            async with unit:
                unit.session.add(user("a@example.org"))
                await unit.session.flush()
                await asyncio.to_thread(cut_every_connection, database_url)
                unit.session.add(user("b@example.org"))

        with pytest.raises(DatabaseUnavailableError):
            await broken()
        async with unit:
            unit.session.add(user("c@example.org"))
        await loops.aclose()

    asyncio.run(main())
    assert emails(database) == ["c@example.org"]


def test_a_server_that_became_read_only_is_left_and_worth_another_attempt(database):
    """As after a failover, to a connection that still leads to who was the primary."""
    unit = SqlUnitOfWork(database)
    with database.engine.connect() as connection:
        connection.execute(text("SET default_transaction_read_only = on"))
        connection.commit()
    with pytest.raises(DatabaseUnavailableError, match="takes no writes"), unit:
        unit.session.add(user("a@example.org"))
    with unit:
        unit.session.add(user("b@example.org"))
    assert emails(database) == ["b@example.org"]


def test_coroutines_leave_such_a_server_too(database):
    async def main() -> None:
        loops = AsyncDatabase(database)
        unit = AsyncSqlUnitOfWork(loops)
        async with await loops.session() as session:
            await session.execute(text("SET default_transaction_read_only = on"))
            await session.commit()
        with pytest.raises(DatabaseUnavailableError, match="takes no writes"):
            async with unit:
                unit.session.add(user("a@example.org"))
        async with unit:
            unit.session.add(user("b@example.org"))
        await loops.aclose()

    asyncio.run(main())
    assert emails(database) == ["b@example.org"]


def test_several_processes_may_bring_the_tables_up_to_date_at_once(database):
    with database.engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(upgrade, database.engine) for _ in range(4)]:
            done.result()
    assert emails(database) == []
