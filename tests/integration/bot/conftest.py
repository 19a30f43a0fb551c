"""A bot that really runs, between a Bot API server of ours and a real worker."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count

import pytest
from redis import Redis
from tests.integration.http.conftest import made
from tests.kit.bot import BotProcess, bot_env
from tests.kit.bot_api import BotApi
from tests.kit.office import Office, office

from celeriac.testing.servers import redis_server

BOSS, READER, RUNNER, REPORTER, STRANGER = 1, 2, 3, 4, 666
SCOPES = "*", "tasks:read", "tasks:run", "reports:run"
USERS = ",".join(f"{user}={scopes}" for user, scopes in zip((BOSS, READER, RUNNER, REPORTER), SCOPES, strict=True))
GROUP = -500
_boss = count(10_000)


@dataclass
class Scene:
    """What a story needs."""

    api: BotApi
    bot: BotProcess
    office: Office


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Generator[Scene]:
    """Bot, worker and history, for all tests that break nothing."""
    with ExitStack() as stack:
        url = stack.enter_context(redis_server())
        database = made(tmp_path_factory.mktemp("bot"))
        running = stack.enter_context(office(url, database))
        stack.enter_context(running.worker())
        api = stack.enter_context(BotApi())
        env = bot_env(url, api.url, USERS, DATABASE_URL=database, BOT_GROUPS=str(GROUP), BOT_RATE_LIMIT="200/m")
        bot = stack.enter_context(BotProcess("tests.kit.bot_app", **env))
        bot.wait_for("ready: the bot is @celeriac_bot")
        yield Scene(api, bot, running)


@pytest.fixture
def api() -> Generator[BotApi]:
    with BotApi() as api:
        yield api


@pytest.fixture
def empty_url(second_url: str) -> str:
    """A server without a worker: what is sent stays in its queue."""
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    return second_url


def sent(url: str) -> int:
    with Redis.from_url(url) as redis:
        return sum(redis.llen(key) for key in redis.keys("default*") if redis.type(key) == b"list")
