"""Real servers, real workers: one worker for each pool, for all tests of that pool."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.kit.clients import client
from tests.kit.service import Container, Registry
from tests.kit.stage import Stage, stage_of

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.app"
POOLS = [pytest.param(pool, marks=pytest.mark.xdist_group(pool)) for pool in ("lane", "prefork", "threads", "solo")]


@dataclass
class Broker:
    """A server with everything a test wants from it."""

    url: str
    app: Celery
    registry: Registry
    redis: Redis


@contextmanager
def broker_on(url: str, **options: Any) -> Generator[Broker]:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url, **options}))
    Registry.install(app, Container())
    with Redis.from_url(url) as redis, client(app):
        yield Broker(url, app, Registry(CeleryPublisher(app)), redis)


@pytest.fixture(scope="session")
def shared() -> Generator[Broker]:
    """The server of the pools' workers. It is theirs: on ``redis_url`` they would take what other tests send."""
    with redis_server() as url, broker_on(url) as broker:
        yield broker


@pytest.fixture(scope="session", params=POOLS)
def pool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def worker(pool: str, shared: Broker) -> Generator[WorkerProcess]:
    """A worker of this pool, for all of its tests."""
    shared.redis.flushdb()
    with WorkerProcess(APP, redis_url=shared.url, pool=pool, concurrency=2) as process:  # type: ignore[arg-type]
        yield process


@pytest.fixture
def registry(worker: WorkerProcess, shared: Broker) -> Registry:
    """The registry whose calls this pool's worker runs."""
    return shared.registry


@pytest.fixture(scope="session")
def second_url() -> Generator[str]:
    """A server that no pool's worker reads."""
    with redis_server() as url:
        yield url


@pytest.fixture
def server(tmp_path: Path) -> Generator[PrivateRedis]:
    """A server of the test's own, which it may break."""
    with PrivateRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def proxy(server: PrivateRedis) -> Generator[TcpProxy]:
    """Between that server and those who connect here."""
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def alone(second_url: str) -> Generator[Broker]:
    """An empty server that no worker reads yet."""
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    with broker_on(second_url) as broker:
        yield broker


@pytest.fixture
def start(alone: Broker) -> Generator[Callable[..., WorkerProcess]]:
    """Starts workers on ``alone``."""
    with ExitStack() as stack:

        def _start(app: str = APP, **options: Any) -> WorkerProcess:
            return stack.enter_context(WorkerProcess(app, redis_url=alone.url, **options))

        yield _start


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> Generator[Stage]:
    """A worker of the canvas tasks, by broker and pool: parametrized with ``stages(...)``, indirectly."""
    with stage_of(str(request.param)) as running:
        yield running


# What `make test` leaves to `make test-wide`: the same cases on further brokers and pools, which take long to start.
WIDE_FILES = (
    "test_rabbitmq_faults",
    "test_rabbitmq_settled",
    "test_lane_rabbitmq",
    "test_interop",
    "test_start_worker",
    "test_start_full",
    "test_unique_elsewhere",
)
WIDE_STAGES = re.compile(r"\b(on_rabbitmq|rabbitmq-\w+|stock-\w+|redis-(prefork|threads|solo))\b|^rabbitmq$")
WIDE_POOLS = (
    "test_crashes",
    "test_values",
    "test_failures",
    "test_progress",
    "test_limits",
    "test_workflows",
    "test_resumable",
    "test_concurrency",
    "test_database_task",
    "test_deadline",
    "test_service",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is wide."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        said = "-".join(map(str, callspec._idlist)) if callspec is not None else ""
        module = item.path.stem
        other_pool = module in WIDE_POOLS and re.search(r"\b(threads|solo)\b", said)
        if module in WIDE_FILES or WIDE_STAGES.search(said) or other_pool:
            item.add_marker("wide")
