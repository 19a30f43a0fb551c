"""A whole service for callers: broker, worker, history and the HTTP door."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from celery import Celery
from tests.kit.api import door
from tests.kit.clients import client
from tests.kit.service import Container, Registry

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.history.service import TaskHistory
from celeriac.http import Services
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.app"


@dataclass
class Office:
    """What a story needs."""

    url: str
    database: str
    app: Celery
    registry: Registry
    history: TaskHistory
    services: Services
    http: httpx.Client
    broker: str | None = None
    """Another broker than Redis."""

    @contextmanager
    def worker(self, app: str = APP, **options: Any) -> Generator[WorkerProcess]:
        """A worker that keeps the history."""
        env = {"CELERY_HISTORY_ENABLED": "true", "DATABASE_URL": self.database}
        if self.broker is not None:
            env["CELERY_BROKER_URL"] = self.broker
        options.setdefault("concurrency", 2)
        with WorkerProcess(app, redis_url=self.url, env=env, **options) as process:
            yield process


@contextmanager
def office(url: str, database: str, **options: Any) -> Generator[Office]:
    """The door over a broker and a database, without a worker."""
    said = {"redis_url": url, "history_enabled": True, "history_database_url": database, **options}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    Registry.install(app, Container())
    registry, history = Registry(CeleryPublisher(app)), TaskHistory(app)
    with ExitStack() as stack:
        stack.enter_context(client(app))
        stack.callback(history.close)
        services = Services(app, registry, history)
        http = stack.enter_context(door(services, url))
        yield Office(url, database, app, registry, history, services, http, options.get("broker_url"))
