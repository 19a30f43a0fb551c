from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.testing.embedded import EmbeddedRedis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


@pytest.fixture
def redis(server: str) -> Generator[Redis]:
    with Redis.from_url(server) as client:
        client.flushall()
        yield client


@contextmanager
def app_on(url: str, **options: Any) -> Generator[Celery]:
    app = create_celery_app(
        CeleryAppConfig.from_mapping({"redis_url": url, "result_backend": "cache+memory://", **options})
    )

    @app.task(name="add")
    def add(x: int, y: int) -> int:
        return x + y

    try:
        yield app
    finally:
        app.close()


@pytest.fixture
def make_app(server: str, redis: Redis) -> Generator[Callable[..., Celery]]:
    with ExitStack() as apps:
        yield lambda **options: apps.enter_context(app_on(server, **options))


@pytest.fixture
def app(make_app: Callable[..., Celery]) -> Celery:
    return make_app()
