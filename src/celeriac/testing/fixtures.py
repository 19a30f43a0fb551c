"""Pytest fixtures over real servers and real workers.

Load them in a conftest: ``pytest_plugins = ["celeriac.testing.fixtures"]``.
"""

from __future__ import annotations

import gc
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from celeriac.exceptions import ServerNotFound
from celeriac.testing.servers import rabbitmq_server, redis_server
from celeriac.testing.sql import postgres_server
from celeriac.testing.worker import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

__all__ = ["StartWorker", "celery_worker", "database_url", "rabbitmq_url", "redis_url"]


class StartWorker(Protocol):
    """Starts a worker; takes what :class:`~celeriac.testing.worker.WorkerProcess` takes."""

    def __call__(self, app: str, **options: Any) -> WorkerProcess:
        """A worker that is ready."""
        ...


@pytest.fixture(scope="session")
def redis_url() -> Generator[str]:
    """A Redis database that is empty at the start and nobody else's: see ``redis_server`` for where it comes from."""
    yield from _or_skip(redis_server())


@pytest.fixture(scope="session")
def rabbitmq_url() -> Generator[str]:
    """A RabbitMQ virtual host that is nobody else's: see ``rabbitmq_server`` for where it comes from."""
    yield from _or_skip(rabbitmq_server())


@pytest.fixture(scope="session")
def database_url() -> Generator[str]:
    """A PostgreSQL database that is empty at the start and nobody else's: see ``postgres_server``."""
    yield from _or_skip(postgres_server())


@pytest.fixture
def celery_worker(redis_url: str) -> Generator[StartWorker]:
    """Starts real workers on ``redis_url`` and stops them when the test ends. Their logs are shown if it fails."""
    with ExitStack() as workers:

        def start(app: str, **options: Any) -> WorkerProcess:
            options.setdefault("redis_url", redis_url)
            return workers.enter_context(WorkerProcess(app, **options))

        yield start


def _or_skip(server: AbstractContextManager[str]) -> Generator[str]:
    with ExitStack() as stack:
        try:
            url = stack.enter_context(server)
        except ServerNotFound as error:
            pytest.skip(str(error))
        yield url
        gc.collect()  # results that nobody holds unsubscribe when they go: while the server is still there
