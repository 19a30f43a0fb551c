"""One worker of the canvas tasks for each broker and pool, and an app that calls them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from tests.kit.canvas import tasks_on
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.testing.servers import rabbitmq_server, redis_server
from celeriac.testing.worker import WorkerProcess

POOLS = ("lane", "prefork", "threads", "solo")


@dataclass
class Stage:
    """What a test of a running worker wants.

    Attributes:
        app: the app that calls; ``t`` are its tasks.
        redis: where results are, and what tasks noted.
    """

    broker: str
    pool: str
    app: Celery
    t: SimpleNamespace
    redis: Redis
    worker: WorkerProcess

    def noted(self, key: str) -> list[str]:
        """What tasks noted under a key."""
        found: Any = self.redis.lrange(f"noted:{key}", 0, -1)
        return [value.decode() for value in found]


def stages(*names: str) -> list[Any]:
    """Parameters for the fixture ``stage``, such as ``"redis-prefork"``; those of one stage run in one process."""
    return [pytest.param(name, id=name, marks=pytest.mark.xdist_group(f"stage-{name}")) for name in names]


def parts(name: str) -> tuple[str, Any]:
    """The broker and the pool of a stage's name."""
    broker, _, pool = name.partition("-")
    return broker, pool


@contextmanager
def stage_of(
    name: str, *, concurrency: int = 2, env: Mapping[str, str] | None = None, **options: Any
) -> Generator[Stage]:
    """A server, a worker and an app. ``stock-prefork`` is Celery without a line of ours."""
    broker, pool = parts(name)
    with redis_server() as redis_url, _broker(broker, redis_url) as url:
        env = dict(env or {})
        if broker == "stock":
            env["STOCK"] = "1"
        else:
            env |= {"CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": redis_url}
        app = _app(broker, url, redis_url)
        worker = WorkerProcess(
            "tests.kit.canvas", redis_url=redis_url, pool=pool, concurrency=concurrency, env=env, **options
        )
        with client(app), Redis.from_url(redis_url) as redis, worker:
            yield Stage(broker, pool, app, tasks_on(app), redis, worker)


@contextmanager
def _broker(broker: str, redis_url: str) -> Generator[str]:
    if broker == "rabbitmq":
        with rabbitmq_server() as url:
            yield url
    else:
        yield redis_url


def _app(broker: str, url: str, redis_url: str) -> Celery:
    if broker == "stock":
        app = Celery("stock", broker=url, backend=redis_url, set_as_current=False)
        app.conf.update(task_default_queue="default", accept_content=["json"])
        return app
    return create_celery_app(CeleryAppConfig.from_mapping({"broker_url": url, "result_backend": redis_url}))
