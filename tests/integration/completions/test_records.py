"""Completions on real databases, and hundreds of coroutines that use sessions of one pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, func, select
from tests.kit.completions_server import CompletionsServer, breaks_off
from tests.kit.people import add_user

from core.completions import Answer, Completion, CompletionUserError
from core.completions.errors import ProviderUnavailableError
from core.completions.service import CompletionService
from core.transactions import DatabaseUnavailableError
from infrastructure.completions.provider import OpenAiProvider
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.completions import SqlCompletions
from infrastructure.database.database import Database
from infrastructure.database.models import CompletionRow, UserRow
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork, SqlUnitOfWork

T = TypeVar("T")
MANY = 200


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Database]:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("database_url")
    database = Database(SecretStr(url), production=False)
    with SqlUnitOfWork(database) as unit:
        unit.session.execute(delete(UserRow))
    yield database
    database.close()


def run(database: Database, work: Callable[[AsyncDatabase], Coroutine[Any, Any, T]]) -> T:
    async def main() -> T:
        on_this_loop = AsyncDatabase(database)
        try:
            return await work(on_this_loop)
        finally:
            await on_this_loop.aclose()

    return asyncio.run(main())


def records_of(database: AsyncDatabase) -> tuple[AsyncSqlUnitOfWork, SqlCompletions]:
    unit = AsyncSqlUnitOfWork(database)
    return unit, SqlCompletions(unit, database)


def completion(user_id: int, request_id: str = "r1", text: str = "Hi") -> Completion:
    answer = Answer(text, "parrot-1", 2, 1, 3)
    return Completion(request_id, user_id, "Hello there", answer, datetime.now(UTC))


def count(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(CompletionRow)) or 0


def test_the_first_completion_of_a_request_stays(database: Database) -> None:
    user = add_user(database)
    first, second = completion(user, text="first"), completion(user, text="second")

    async def work(on_this_loop: AsyncDatabase) -> None:
        for said in (first, second):
            unit, records = records_of(on_this_loop)
            async with unit:
                assert await records.add(said) == first
        assert await records.find("r1") == first
        assert await records.find("r2") is None

    run(database, work)
    assert count(database) == 1


def test_what_is_added_is_kept_with_the_rest_or_not_at_all(database: Database) -> None:
    user = add_user(database)

    async def work(on_this_loop: AsyncDatabase) -> None:
        unit, records = records_of(on_this_loop)
        async with unit:
            await records.add(completion(user))
            raise KeyError

    with pytest.raises(KeyError):
        run(database, work)
    assert count(database) == 0


def test_a_user_who_was_deleted_meanwhile_is_told(database: Database) -> None:
    async def work(on_this_loop: AsyncDatabase) -> None:
        unit, records = records_of(on_this_loop)
        with pytest.raises(CompletionUserError, match="user 4711 was deleted while the answer to 'r1'"):
            async with unit:
                await records.add(completion(4711))

    run(database, work)


def test_users_are_known_or_not(database: Database) -> None:
    user = add_user(database)

    async def work(on_this_loop: AsyncDatabase) -> list[bool]:
        _, records = records_of(on_this_loop)
        return [await records.knows_user(asked) for asked in (user, user + 1, 0, -1, 2**31, 2**80)]

    assert run(database, work) == [True, False, False, False, False, False]


@pytest.mark.proves("S002-16")
def test_a_broken_answer_leaves_nothing(database: Database, model: CompletionsServer) -> None:
    user = add_user(database)
    model.script.append(breaks_off)

    async def work(on_this_loop: AsyncDatabase) -> None:
        unit, records = records_of(on_this_loop)
        provider = OpenAiProvider(model.settings(streaming=True))
        service = CompletionService(provider, records, unit)
        with pytest.raises(ProviderUnavailableError):
            await service.process("r1", "Hello there", user)
        assert await records.find("r1") is None
        assert (await service.process("r1", "Hello there", user)).answer.text == "You said: Hello there"
        await provider.aclose()

    run(database, work)
    assert count(database) == 1


@pytest.mark.proves("S002-16")
def test_hundreds_of_coroutines_use_one_pool_of_connections(database: Database, model: CompletionsServer) -> None:
    user = add_user(database)

    async def work(on_this_loop: AsyncDatabase) -> list[Completion]:
        provider = OpenAiProvider(model.settings(timeout=60))

        def process(number: int) -> Coroutine[Any, Any, Completion]:
            unit, records = records_of(on_this_loop)
            return CompletionService(provider, records, unit).process(f"r{number % 100}", "Hello there", user)

        done = await asyncio.gather(*(process(number) for number in range(MANY)))
        await provider.aclose()
        return done

    for _ in range(2):  # another loop, another pool
        done = run(database, work)
        assert {each.request_id for each in done} == {f"r{number}" for number in range(100)}
        assert {each.answer.text for each in done} == {"You said: Hello there"}
    assert count(database) == 100
    assert len(model.requests) <= MANY


def test_without_a_database_nobody_is_asked(model: CompletionsServer) -> None:
    away = Database(SecretStr("postgresql://nobody@127.0.0.1:1/none"), production=False)

    async def work(on_this_loop: AsyncDatabase) -> None:
        unit, records = records_of(on_this_loop)
        with pytest.raises(DatabaseUnavailableError):
            await CompletionService(OpenAiProvider(model.settings()), records, unit).process("r1", "Hello", 1)

    run(away, work)
    assert not model.requests
