"""The service with a worker that may be killed and is started again, and a database on disk."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from celery import Celery
from pydantic import SecretStr
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.worker import Worker
from tests.kit.clients import disconnect

from core.configs.settings import DatabaseSettings, Environment, RedisSettings, Settings
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.database import Database
from infrastructure.database.unit_of_work import SqlUnitOfWork
from ioc.container import Container, build_container


class Household:
    """As a context manager.

    Args:
        scenario: makes the worker.
        url: the Redis server.
        env: further variables of the worker.
    """

    def __init__(self, scenario: Scenario, url: str, env: Mapping[str, str]) -> None:
        database = f"sqlite:///{scenario.directory / 'service.db'}"
        settings = Settings(
            environment=Environment.TEST,
            redis_settings=RedisSettings(redis_url=SecretStr(url)),
            database_settings=DatabaseSettings(database_url=SecretStr(database)),
        )
        self.container: Container = build_container(settings)
        self.database = self.container.resolve(Database)
        assert self.database.engine is not None  # whose tables are there before the worker asks
        said = {"DATABASE_URL": database, "ENVIRONMENT": "test", **env}
        self.worker: Worker = scenario.running(url, app="delivery.tasks.app", env=said, supervised=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        disconnect(self.container.resolve(Celery))
        self.container.close()

    @property
    def registry(self) -> TasksRegistry:
        """Calls its tasks."""
        return self.container.resolve(TasksRegistry)

    @contextmanager
    def nobody_else_writes(self) -> Generator[None]:
        """Whoever wants to write to the database waits until the end of the block, or gives up."""
        with SqlUnitOfWork(self.database) as unit:
            unit.session.connection()
            yield
