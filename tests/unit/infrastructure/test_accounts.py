"""Users in a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from core.accounts import EmailTakenError, User
from core.mail import NoAddressError
from infrastructure.database.accounts import SqlAddressBook, SqlUsers
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.database import Database
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork

T = TypeVar("T")
Story = Callable[[AsyncDatabase], Awaitable[T]]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.db'}"
    return str(request.getfixturevalue("database_url"))


def told(url: str, story: Story[T]) -> T:
    """What a story on a database of its own gives."""

    @asynccontextmanager
    async def opened() -> AsyncGenerator[AsyncDatabase]:
        database = Database(SecretStr(url), production=False)
        made = AsyncDatabase(database)
        try:
            yield made
        finally:
            await made.aclose()
            database.close()

    async def main() -> T:
        async with opened() as database:
            return await story(database)

    return asyncio.run(main())


async def add(database: AsyncDatabase, email: str) -> User:
    unit = AsyncSqlUnitOfWork(database)
    async with unit:
        return await SqlUsers(unit, database).add(email, "Ada")


def test_a_user_is_found_as_it_was_added(url):
    async def story(database: AsyncDatabase) -> None:
        user = await add(database, "found@example.org")
        assert (user.email, user.name, user.created.tzinfo) == ("found@example.org", "Ada", UTC)
        assert abs((datetime.now(UTC) - user.created).total_seconds()) < 3600
        users = SqlUsers(AsyncSqlUnitOfWork(database), database)
        assert await users.find(user.id) == user
        assert await SqlAddressBook(database).address_of(user.id) == "found@example.org"

    told(url, story)


def test_of_many_who_take_an_address_at_once_one_gets_it(url):
    async def story(database: AsyncDatabase) -> list[User | BaseException]:
        asked = (add(database, "wanted@example.org") for _ in range(8))
        return await asyncio.gather(*asked, return_exceptions=True)

    results = told(url, story)
    assert sum(isinstance(each, User) for each in results) == 1
    assert sum(isinstance(each, EmailTakenError) for each in results) == 7


@pytest.mark.parametrize("user_id", [-1, 0, 999_999, 2**31, 2**64, 10**30])
def test_nobody_has_an_id_that_was_never_given(url, user_id):
    async def story(database: AsyncDatabase) -> None:
        assert await SqlUsers(AsyncSqlUnitOfWork(database), database).find(user_id) is None
        with pytest.raises(NoAddressError, match=f"user {user_id} does not exist"):
            await SqlAddressBook(database).address_of(user_id)

    told(url, story)
