"""On RabbitMQ: limits and ends where tasks run in the worker's own process, and a loop of the lane that is blocked."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on

from celeriac.testing.servers import rabbitmq_server

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180), pytest.mark.wide]
APP = "tests.kit.resident"
POOLS = ["threads", "solo"]


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with rabbit_on(virtual_host, second_url) as rabbit:
        yield rabbit


@pytest.fixture
def call(rabbit: Rabbit) -> Callable[..., Any]:
    app = rabbit.client().app
    return lambda name, *args: app.send_task(name, args, queue=rabbit.queue)


def outcome(result: Any, timeout: float = 40) -> Any:
    return result.get(timeout=timeout, propagate=False)


@pytest.mark.proves("S002-7")
@pytest.mark.parametrize("pool", POOLS)
def test_limits_hold(rabbit, call, pool):
    rabbit.start(APP, pool=pool, concurrency=2)
    assert isinstance(outcome(call("spins")), SoftTimeLimitExceeded)
    assert isinstance(outcome(call("ignores.soft")), TimeLimitExceeded)
    assert outcome(call("quick", 1)) == 1


@pytest.mark.parametrize("pool", POOLS)
def test_what_runs_goes_back_when_the_worker_ends_at_once(rabbit, call, tmp_path, pool):
    path = tmp_path / "note"
    worker = rabbit.start(APP, pool=pool, concurrency=1)
    call("long", str(path))
    until(path.exists)
    os.kill(worker.pid, signal.SIGQUIT)
    until(lambda: worker.returncode is not None, timeout=30)
    until(lambda: rabbit.depth() == 1)


@pytest.mark.proves("S002-7")
def test_a_coroutine_that_blocks_the_loop_fails_and_those_beside_it_run_again(rabbit, call):
    rabbit.start(APP, pool="lane", concurrency=1, env={"CELERY_WORKER_PREFETCH_MULTIPLIER": "10"})
    others = [call("beside", 5) for _ in range(4)]
    assert isinstance(outcome(call("blocks.in_c", 600)), TimeLimitExceeded)
    assert [outcome(each, 60) for each in others] == ["done"] * len(others)
    assert outcome(call("beside", 0.1)) == "done"
