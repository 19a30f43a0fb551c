"""Policies where messages go by RabbitMQ and what all workers know is kept with the results."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack
from typing import Any

import pytest
from tests.kit import deadlines, slots
from tests.kit.clients import client

from celeriac.exceptions import DeadlineExceeded
from celeriac.testing.servers import rabbitmq_server, redis_server
from celeriac.testing.worker import WorkerProcess

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180), pytest.mark.wide]
WAIT = 60


@pytest.fixture(scope="module")
def servers() -> Generator[tuple[str, str]]:
    with rabbitmq_server() as broker, redis_server() as results:
        yield broker, results


@pytest.fixture
def start(servers: tuple[str, str]) -> Generator[Callable[..., Any]]:
    """Starts workers of a kit on both servers, and gives its registry."""
    broker, results = servers
    with ExitStack() as stack:

        def _start(kit: Any, *pools: str) -> Any:
            app, registry = kit.made(broker_url=broker, redis_url=results)
            stack.enter_context(client(app))
            for pool in pools:
                said: dict[str, Any] = {"queues": [kit.QUEUE], "pool": pool, "concurrency": 4}
                env = {"CELERY_BROKER_URL": broker}
                stack.enter_context(WorkerProcess(kit.__name__, redis_url=results, env=env, **said))
            return registry

        yield _start


def test_no_more_run_at_once_than_may(start, servers):
    registry = start(slots, "lane", "threads")
    for result in [registry.two.delay(0.05) for _ in range(20)]:
        result.get(timeout=WAIT)
    assert slots.Ledger(servers[1]).most_at_once() == {"two": 2}


def test_a_deadline_holds(start):
    registry = start(deadlines, "lane", "threads")
    for result in (registry.sleeps.delay(), registry.fails.delay(), registry.awaits.delay()):
        with pytest.raises(DeadlineExceeded):
            result.get(timeout=WAIT)
