"""An app that keeps a history, on servers of its own: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from sqlalchemy import text
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.history.database import engine_of
from celeriac.history.schema import upgrade
from celeriac.history.service import TaskHistory
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.chronicle"


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database; modules whose every test starts workers run on one of them, and on the other in the wide form."""
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """An empty database with the tables in it."""
    address = f"sqlite:///{tmp_path / 'history.db'}" if kind == "sqlite" else request.getfixturevalue("database_url")
    engine = engine_of(address)
    upgrade(engine)
    yield address
    if kind != "sqlite":
        with engine.begin() as connection:
            connection.execute(text("TRUNCATE celeriac_tasks"))
    engine.dispose()


@dataclass
class Chronicled:
    """An app, its history, and workers for it."""

    app: Celery
    history: TaskHistory
    redis: Redis
    url: str
    start: Callable[..., WorkerProcess]

    def send(self, task: str, *args: Any, **options: Any) -> str:
        """The id of a call."""
        return str(self.app.send_task(task, args, **options).id)


@pytest.fixture
def chronicled(url: str, redis_url: str) -> Generator[Chronicled]:
    with Redis.from_url(redis_url) as redis, ExitStack() as stack:
        redis.flushdb()
        said = {"redis_url": redis_url, "history_enabled": True, "history_database_url": url}
        app = create_celery_app(CeleryAppConfig.from_mapping({**said, "environment": "test"}))
        stack.enter_context(client(app))
        history = TaskHistory(app)
        stack.callback(history.close)

        def start(**options: Any) -> WorkerProcess:
            env = {"DATABASE_URL": url, **options.pop("env", {})}
            return stack.enter_context(WorkerProcess(APP, redis_url=redis_url, env=env, **options))

        yield Chronicled(app, history, redis, url, start)
