from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, StatementError

from core.transactions import DatabaseUnavailableError
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.database import Database
from infrastructure.database.models import ActivityRow, Base, PriceRow, UserRow
from infrastructure.database.schema import MIGRATIONS, upgrade
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork, SqlUnitOfWork

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(SecretStr(f"sqlite:///{tmp_path / 'service.db'}"), production=False)
    yield database
    database.close()


def user(email: str) -> UserRow:
    return UserRow(email=email, created=NOW)


def emails(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(UserRow.email).order_by(UserRow.id)))


def test_what_is_done_in_a_unit_of_work_is_kept_together(database):
    unit = SqlUnitOfWork(database)
    with unit:
        unit.session.add_all([user("a@example.org"), user("b@example.org")])
        unit.session.flush()
        assert emails(database) == []
    assert emails(database) == ["a@example.org", "b@example.org"]


def test_an_exception_takes_all_of_it_back(database):
    unit = SqlUnitOfWork(database)

    def fail() -> None:
        with unit:
            unit.session.add(user("a@example.org"))
            unit.session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert emails(database) == []


def test_a_unit_of_work_is_used_again_after_one_that_failed(database):
    unit = SqlUnitOfWork(database)
    with unit:
        unit.session.add(user("a@example.org"))
    with pytest.raises(IntegrityError), unit:
        unit.session.add(user("a@example.org"))
    with unit:
        unit.session.add(user("b@example.org"))
    assert emails(database) == ["a@example.org", "b@example.org"]


def test_one_transaction_at_a_time(database):
    unit = SqlUnitOfWork(database)
    with unit, pytest.raises(RuntimeError, match="open already"), unit:
        pass
    with pytest.raises(RuntimeError, match="no transaction is open"):
        _ = unit.session


def test_what_a_scope_leaves_open_is_rolled_back(database):
    unit = SqlUnitOfWork(database)
    unit.__enter__()
    unit.session.add(user("a@example.org"))
    unit.session.flush()
    unit.close()
    assert emails(database) == []


def test_coroutines_have_the_same(database):
    async def fail(unit: AsyncSqlUnitOfWork) -> None:
        async with unit:
            unit.session.add(user("b@example.org"))
            await unit.session.flush()
            raise LookupError

    async def main() -> None:
        loops = AsyncDatabase(database)
        unit = AsyncSqlUnitOfWork(loops)
        async with unit:
            unit.session.add(user("a@example.org"))
        with pytest.raises(LookupError):
            await fail(unit)
        with pytest.raises(RuntimeError, match="open already"):
            async with unit, unit:
                pass
        with pytest.raises(RuntimeError, match="no transaction is open"):
            _ = unit.session
        await loops.aclose()

    asyncio.run(main())
    assert emails(database) == ["a@example.org"]


def test_every_event_loop_has_a_pool_of_its_own(database):
    loops = AsyncDatabase(database)

    async def add(email: str) -> None:
        unit = AsyncSqlUnitOfWork(loops)
        async with unit:
            unit.session.add(user(email))

    async def main(*names: str) -> None:
        await asyncio.gather(*(add(f"{name}@example.org") for name in names))
        await loops.aclose()

    asyncio.run(main("a", "b", "c"))
    asyncio.run(main("d", "e", "f"))
    assert sorted(emails(database)) == [f"{name}@example.org" for name in "abcdef"]


def test_a_moment_comes_back_as_utc(database):
    unit = SqlUnitOfWork(database)
    far = timezone(timedelta(hours=9))
    with unit:
        unit.session.add(UserRow(email="a@example.org", created=NOW.astimezone(far)))
    with database.reading() as session:
        found = session.scalars(select(UserRow.created)).one()
    assert found == NOW
    assert found.tzinfo is UTC


def test_a_moment_without_a_time_zone_is_refused(database):
    unit = SqlUnitOfWork(database)
    with pytest.raises(StatementError, match="says no time zone"), unit:
        unit.session.add(UserRow(email="a@example.org", created=NOW.replace(tzinfo=None)))


def test_a_price_comes_back_to_its_last_digit(database):
    unit = SqlUnitOfWork(database)
    price = Decimal("1234567890.12345678")
    with unit:
        unit.session.add(PriceRow(symbol="X", day=NOW.date(), close=price, currency="EUR", fetched=NOW))
    with database.reading() as session:
        assert session.scalars(select(PriceRow.close)).one() == price


def test_sqlite_looks_after_references(database):
    unit = SqlUnitOfWork(database)
    with pytest.raises(IntegrityError), unit:
        unit.session.add(ActivityRow(user_id=7, at=NOW, kind="login"))


def test_the_migrations_make_the_tables_that_the_models_describe(database):
    upgrade(database.engine)
    with database.engine.connect() as connection:
        ours = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        )
        assert compare_metadata(ours, Base.metadata) == []
    assert MIGRATIONS.current(database.engine) == MIGRATIONS.newest()


def test_who_comes_later_looks_without_waiting_for_who_writes(database):
    unit = SqlUnitOfWork(database)
    with unit:
        unit.session.add(user("a@example.org"))
        unit.session.flush()
        later = Database(database.url, production=False)
        assert emails(later) == []
        later.close()


def test_errors_quote_nobodys_data(database):
    unit = SqlUnitOfWork(database)
    with pytest.raises(IntegrityError, match="parameters hidden") as caught, unit:
        unit.session.add_all([user("ada@example.org"), user("ada@example.org")])
    assert "ada@example.org" not in str(caught.value)


def test_coroutines_errors_quote_nobodys_data_either(database):
    async def main() -> None:
        loops = AsyncDatabase(database)
        try:
            unit = AsyncSqlUnitOfWork(loops)
            async with unit:
                unit.session.add_all([user("ada@example.org"), user("ada@example.org")])
        finally:
            await loops.aclose()

    with pytest.raises(IntegrityError, match="parameters hidden") as caught:
        asyncio.run(main())
    assert "ada@example.org" not in str(caught.value)


def test_without_an_address_whoever_needs_a_database_is_told():
    with pytest.raises(DatabaseUnavailableError, match="set DATABASE_URL"):
        Database(None, production=True).session()


def test_in_production_nobody_but_the_migration_makes_tables_on_a_server():
    nowhere = Database(SecretStr("postgresql://nobody@localhost:1/none"), production=True)
    with pytest.raises(DatabaseUnavailableError, match="does not answer"), nowhere.reading() as session:
        session.execute(text("SELECT 1"))
    nowhere.close()


def test_a_database_that_is_away_is_worth_another_attempt():
    unit = SqlUnitOfWork(Database(SecretStr("postgresql://nobody@localhost:1/none"), production=True))
    with pytest.raises(DatabaseUnavailableError), unit:
        unit.session.execute(text("SELECT 1"))
