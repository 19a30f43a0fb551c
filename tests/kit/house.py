"""The whole service for callers: its container, its HTTP door, its workers, its mail server."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import httpx
from celery import Celery
from fastapi import FastAPI
from pydantic import SecretStr
from tests.faults.harness.waiting import until
from tests.kit.api import serving
from tests.kit.clients import disconnect
from tests.kit.post_office import PostOffice

from celeriac.history.records import TaskRecord
from celeriac.history.service import TaskHistory
from celeriac.testing.worker import WorkerProcess
from core.configs.settings import AccessSettings, DatabaseSettings, Environment, RedisSettings, Settings
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.database import Database
from ioc.container import Container, build_container
from ioc.http import register_http

APP = "delivery.tasks.app"


@dataclass
class House:
    """What a story needs."""

    url: str
    database: str
    container: Container
    http: httpx.Client
    mail: PostOffice
    env: dict[str, str] = field(default_factory=dict[str, str])
    """What workers are told beside that."""
    workers: list[WorkerProcess] = field(default_factory=list[WorkerProcess])
    """Those that run."""

    @property
    def registry(self) -> TasksRegistry:
        return self.container.resolve(TasksRegistry)

    @property
    def history(self) -> TaskHistory:
        return self.container.resolve(TaskHistory)

    def ended(self, task_id: str, *, timeout: float = 30.0) -> TaskRecord:
        """The record of a task, once it has ended."""

        def record() -> TaskRecord | None:
            found = self.history.get(task_id)
            return found if found is not None and found.state.ended else None

        return until(record, timeout=timeout, what=f"the end of {task_id}")

    @contextmanager
    def worker(self, **options: Any) -> Generator[WorkerProcess]:
        """A worker of the service."""
        env = {"DATABASE_URL": self.database, **self.mail.env, **self.env}
        options.setdefault("concurrency", 2)
        with WorkerProcess(APP, redis_url=self.url, env=env, **options) as process:
            self.workers.append(process)
            try:
                yield process
            finally:
                self.workers.remove(process)


def _unbuildable(controller: type[Any]) -> Callable[[], Any]:
    def build() -> NoReturn:
        msg = f"{controller.__name__} was built in a process that only calls tasks"
        raise AssertionError(msg)

    return build


@contextmanager
def house(url: str, database: str, **said: Any) -> Generator[House]:
    """The service without a worker. Its process only calls tasks: there, no controller can be built.

    Args:
        url: the Redis server.
        database: the URL of its database, whose tables are made.
        said: further settings, as of ``Settings``.
    """
    tables = Database(SecretStr(database), production=False)
    assert tables.engine is not None  # which made them
    tables.close()
    usual: dict[str, Any] = {
        "environment": Environment.TEST,
        "redis_settings": RedisSettings(redis_url=SecretStr(url)),
        "database_settings": DatabaseSettings(database_url=SecretStr(database)),
        "access_settings": AccessSettings(auth="off", rate_limit="off"),
    }
    with ExitStack() as stack:
        container = build_container(Settings(**usual | said))
        stack.callback(container.close)
        register_http(container)
        for controller in {each.controller for each in TasksRegistry.definitions().values() if each.controller}:
            container.override(controller, _unbuildable(controller))
        stack.callback(lambda: disconnect(container.resolve(Celery)))
        mail = stack.enter_context(PostOffice())
        address = stack.enter_context(serving(container.resolve(FastAPI)))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=30))
        yield House(url, database, container, client, mail)
