"""A real HTTP server over a real broker, a real database and a real worker."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis import Redis
from tests.kit.office import Office, office

from celeriac.history.database import engine_of
from celeriac.history.schema import upgrade
from celeriac.testing.servers import redis_server


@pytest.fixture(scope="session")
def own_url() -> Generator[str]:
    """A server that no other worker reads."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def working(tmp_path_factory: pytest.TempPathFactory) -> Generator[Office]:
    """All of it, with a worker that runs, for all tests."""
    with ExitStack() as stack:
        url = stack.enter_context(redis_server())
        running = stack.enter_context(office(url, made(tmp_path_factory.mktemp("history"))))
        stack.enter_context(running.worker())
        yield running


@pytest.fixture
def idle(own_url: str, tmp_path: Path) -> Generator[Office]:
    """All of it but a worker, empty, for one test."""
    with Redis.from_url(own_url) as redis:
        redis.flushdb()
    with office(own_url, made(tmp_path)) as closed:
        yield closed


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Office]:
    """All of it but a worker, for all tests that send little."""
    with redis_server() as url, office(url, made(tmp_path_factory.mktemp("history"))) as closed:
        yield closed


def made(directory: Path) -> str:
    """A database with its tables."""
    return with_tables(f"sqlite:///{directory / 'history.db'}")


def with_tables(url: str) -> str:
    """The same database, with its tables."""
    engine = engine_of(url)
    upgrade(engine)
    engine.dispose()
    return url
