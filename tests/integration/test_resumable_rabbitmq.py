"""Loops that go on elsewhere, where RabbitMQ carries the messages and Redis keeps the places."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on
from tests.kit.resumable import Contexts, Walks, items

from celeriac import CeleryPublisher
from celeriac.testing.servers import rabbitmq_server

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180), pytest.mark.wide]
APP = "tests.kit.resumable"
MOST = 500


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with rabbit_on(virtual_host, second_url) as rabbit:
        yield rabbit


@pytest.fixture
def walks(rabbit: Rabbit) -> Walks:
    app = rabbit.client().app
    Walks.install(app, Contexts())
    return Walks(CeleryPublisher(app))


@pytest.mark.parametrize("pool", ["lane", "prefork", "threads", "solo"])
def test_a_worker_that_is_told_to_end_hands_the_loop_on_and_nothing_is_repeated(
    rabbit: Rabbit, walks: Walks, tmp_path: Path, pool: str
):
    path = tmp_path / "items"
    result = walks.walk.apply_async((str(path), MOST, 0.01), queue=rabbit.queue)
    for left in (3, 2, 1, 0):
        worker = rabbit.start(APP, pool=pool, concurrency=1)
        if not left:
            break
        so_far = len(items(path))
        until(lambda: len(items(path)) > so_far + 5)  # noqa: B023  used at once
        os.kill(worker.pid, signal.SIGTERM)
        until(lambda: worker.returncode is not None, timeout=20)  # noqa: B023
        until(lambda: rabbit.depth() == 1, what=f"one message, instead of {rabbit.depth()},")
        with rabbit.channel() as channel:
            # RabbitMQ counts what is given back. So it is sent anew, perhaps to the worker that is about to end.
            assert channel.basic_get(rabbit.queue).headers.get("x-delivery-count", 0) < 3
    assert result.get(timeout=30)["done"] == MOST
    assert items(path) == list(range(1, MOST + 1))


def test_after_kill_9_the_loop_goes_on_from_its_place(rabbit: Rabbit, walks: Walks, tmp_path: Path):
    path = tmp_path / "items"
    result = walks.walk.apply_async((str(path), MOST, 0.01, 0), queue=rabbit.queue)
    worker = rabbit.start(APP, pool="lane", concurrency=1)
    until(lambda: len(items(path)) > 5)
    worker.kill()
    rabbit.start(APP, pool="lane", concurrency=1)
    assert result.get(timeout=30)["done"] == MOST
    assert len(items(path)) <= MOST + 1
