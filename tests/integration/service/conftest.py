"""The service with a worker and a mail server: all of it for all tests, and all but a worker for one."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from redis import Redis
from tests.kit.house import House, house

from celeriac.testing.servers import redis_server


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    """All of it, with a worker that runs."""
    database = tmp_path_factory.mktemp("home") / "service.db"
    with redis_server() as url, house(url, f"sqlite:///{database}") as running, running.worker():
        yield running


@pytest.fixture(autouse=True)
def forget(request: pytest.FixtureRequest) -> Generator[None]:
    """What one test did to the mail server is over when the next begins."""
    yield
    if "home" in request.fixturenames:
        home: House = request.getfixturevalue("home")
        home.mail.reset()


@pytest.fixture(scope="session")
def spare_redis() -> Generator[str]:
    """A server that no worker reads, unless a test starts one."""
    with redis_server() as url:
        yield url


@pytest.fixture
def still(spare_redis: str, tmp_path: Path) -> Generator[House]:
    """All of it but a worker, for one test."""
    with Redis.from_url(spare_redis) as redis:
        redis.flushdb()
    with house(spare_redis, f"sqlite:///{tmp_path / 'service.db'}") as running:
        yield running
