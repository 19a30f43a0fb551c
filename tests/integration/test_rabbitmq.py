"""RabbitMQ carries tasks as safely as Redis does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from kombu import Connection
from tests.integration.conftest import APP, Broker, broker_on, until

from celeriac.testing.servers import rabbitmq_server
from celeriac.testing.worker import WorkerProcess

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(120)]
WAIT = 30
POOLS = ["prefork", "threads", "solo"]


@dataclass
class Rabbit:
    """A virtual host, a queue in it that is the test's own, and apps and workers that use both."""

    url: str
    queue: str
    results: str
    stack: ExitStack

    @property
    def env(self) -> dict[str, str]:
        return {"CELERY_BROKER_URL": self.url, "CELERY_TASK_DEFAULT_QUEUE": self.queue}

    def client(self, **options: Any) -> Broker:
        said = {"broker_url": self.url, "task_default_queue": self.queue, **options}
        return self.stack.enter_context(broker_on(self.results, **said))

    def start(self, app: str = APP, **options: Any) -> WorkerProcess:
        options.setdefault("queues", [self.queue])
        env = {**self.env, **options.pop("env", {})}
        return self.stack.enter_context(WorkerProcess(app, redis_url=self.results, env=env, **options))

    @contextmanager
    def channel(self) -> Generator[Any]:
        with Connection(self.url) as connection:
            yield connection.channel()

    def depth(self, queue: str | None = None) -> int:
        with self.channel() as channel:
            return int(channel.queue_declare(queue or self.queue, passive=True).message_count)


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with ExitStack() as stack:
        yield Rabbit(virtual_host, f"queue-{uuid4().hex[:8]}", second_url, stack)


@pytest.mark.proves("S000-1", "S001-5")
@pytest.mark.parametrize("pool", POOLS)
def test_a_task_runs_and_its_result_is_read_from_redis(rabbit, pool):
    rabbit.start(pool=pool, concurrency=2)
    registry = rabbit.client().registry
    results = [registry.add.delay(number, 1) for number in range(20)]
    assert [result.get(timeout=WAIT) for result in results] == list(range(1, 21))
    assert results[0].state.value == "SUCCESS"
    until(lambda: rabbit.depth() == 0)
