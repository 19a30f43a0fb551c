"""What users did, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from core.accounts.activities import ActivityService
from core.accounts.errors import UnfitDetailsError, UnknownUserError
from core.accounts.ports import Deed
from core.accounts.service import AccountService
from core.configs.settings import DatabaseSettings, Environment, RedisSettings, Settings
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.database import Database
from infrastructure.database.models import ActivityRow
from ioc.container import Container, build_container

DEEDS: list[Deed] = [("logged in", {"from": "Ghent"}), ("ordered", {"plant": "fern", "pieces": 2})]


@pytest.fixture
def container(tmp_path: Path) -> Generator[Container]:
    settings = Settings(
        environment=Environment.TEST,
        redis_settings=RedisSettings(redis_url=SecretStr("redis://localhost:1/0")),
        database_settings=DatabaseSettings(database_url=SecretStr(f"sqlite:///{tmp_path / 'service.db'}")),
    )
    container = build_container(settings)
    yield container
    container.close()


def kept(container: Container) -> list[tuple[int, str, object]]:
    with container.resolve(Database).reading() as session:
        rows = session.scalars(select(ActivityRow).order_by(ActivityRow.id))
        return [(row.user_id, row.kind, row.details) for row in rows]


def test_what_a_user_did_is_kept_in_order(container: Container) -> None:
    async def main() -> int:
        with container.scope() as scope:
            user = await scope.resolve(AccountService).create("ada@example.org")
            await scope.resolve(ActivityService).record(user.id, DEEDS)
        await container.resolve(AsyncDatabase).aclose()
        return user.id

    user_id = asyncio.run(main())
    assert kept(container)[-2:] == [(user_id, kind, details) for kind, details in DEEDS]


def test_nobody_did_nothing(container: Container) -> None:
    async def main() -> None:
        try:
            with container.scope() as scope:
                await scope.resolve(ActivityService).record(7, DEEDS)
        finally:
            await container.resolve(AsyncDatabase).aclose()

    with pytest.raises(UnknownUserError, match="7"):
        asyncio.run(main())
    assert kept(container) == []


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), [{"far": float("nan")}], "\ud800"])
def test_what_is_no_json_is_refused_and_nothing_is_noted(container: Container, value: Any) -> None:
    async def main() -> None:
        try:
            with container.scope() as scope:
                user = await scope.resolve(AccountService).create("ada@example.org")
                await scope.resolve(ActivityService).record(user.id, [*DEEDS, ("measured", {"value": value})])
        finally:
            await container.resolve(AsyncDatabase).aclose()

    with pytest.raises(UnfitDetailsError, match="the details of 'measured' cannot be kept, and nothing was noted"):
        asyncio.run(main())
    assert [kind for _, kind, _ in kept(container)] == []


def test_details_are_not_longer_than_exports_can_bear(container: Container) -> None:
    async def main() -> None:
        try:
            with container.scope() as scope:
                user = await scope.resolve(AccountService).create("ada@example.org")
                longest = 16_384 - len('{"text": ""}')
                await scope.resolve(ActivityService).record(user.id, [("wrote", {"text": "x" * longest})])
                await scope.resolve(ActivityService).record(user.id, [*DEEDS, ("wrote", {"text": "x" * longest + "y"})])
        finally:
            await container.resolve(AsyncDatabase).aclose()

    with pytest.raises(UnfitDetailsError, match=r"they have 16,385 bytes of JSON, and 16,384 are the most"):
        asyncio.run(main())
    assert [kind for _, kind, _ in kept(container)] == ["wrote"]
