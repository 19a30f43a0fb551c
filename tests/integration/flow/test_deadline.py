"""A deadline over all attempts: what comes late is not started, what runs is interrupted, a late retry not sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tests.kit.clients import client
from tests.kit.deadlines import QUEUE, SECONDS, Registry, made

from celeriac import TaskState
from celeriac.exceptions import DeadlineExceeded
from celeriac.flow.clock import Clock
from celeriac.flow.deadline import DEADLINE
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

POOLS = [
    pytest.param(pool, marks=pytest.mark.xdist_group(f"slots-{pool}"))
    for pool in ("lane", "prefork", "threads", "solo")
]
WAIT = 30


@pytest.fixture(scope="module", params=POOLS)
def registry(request: pytest.FixtureRequest) -> Generator[Registry]:
    pool: Any = request.param
    with redis_server() as url:
        app, registry = made(redis_url=url)
        concurrency = 1 if pool == "solo" else 4
        late = registry.sleeps.delay()  # before there is a worker
        time.sleep(SECONDS)
        with (
            client(app),
            WorkerProcess("tests.kit.deadlines", redis_url=url, queues=[QUEUE], pool=pool, concurrency=concurrency),
        ):
            vars(registry)["late"] = late
            yield registry


def test_an_attempt_that_comes_too_late_is_not_started(registry):
    with pytest.raises(
        DeadlineExceeded, match=r"^deadlines.sleeps had 3.0 s from its publish, and an attempt came .+ not started$"
    ):
        registry.late.get(timeout=WAIT)


def test_what_runs_is_interrupted_at_the_deadline(registry):
    for result in (registry.sleeps.delay(), registry.awaits.delay()):
        with pytest.raises(DeadlineExceeded, match=r"was interrupted at the end of it$|was not started$"):
            result.get(timeout=WAIT)
        assert result.state is TaskState.FAILURE


def test_a_retry_that_would_begin_after_it_is_not_sent(registry):
    result = registry.fails.delay()  # whose 50 retries of 0.8 s would take longer than we wait
    with pytest.raises(DeadlineExceeded, match=r"the next attempt would have begun after that$|was not started$"):
        result.get(timeout=WAIT)


def test_a_task_is_told_its_deadline(registry):
    before = time.time()
    told = registry.tells.delay().get(timeout=WAIT)
    assert before + 59 < told < time.time() + 61


# -- what messages carry


@pytest.fixture
def written(alone: Any) -> Callable[[Callable[[Registry], Any]], dict[str, Any]]:
    """What a way of publishing writes into a message's headers."""
    _, registry = made(redis_url=alone.url)

    def _written(send: Callable[[Registry], Any]) -> dict[str, Any]:
        send(registry)
        (key,) = [key for key in alone.redis.keys(f"{QUEUE}*") if alone.redis.type(key) == b"list"]
        headers: dict[str, Any] = json.loads(alone.redis.rpop(key))["headers"]
        return headers

    return _written


@pytest.mark.parametrize(
    "send",
    [
        lambda registry: registry.tells.delay(),
        lambda registry: registry.tells.apply_async(headers={"mine": 1}),
        lambda registry: registry.tells.enqueue_many([()]),
        lambda registry: registry.tells.s().delay(),
        lambda registry: registry.tells.publisher.app.tasks["deadlines.tells"].apply_async(),
        lambda registry: registry.tells.publisher.app.send_task("deadlines.tells", queue=QUEUE),
    ],
    ids=["delay", "apply_async", "enqueue_many", "step", "celerys", "by name"],
)
def test_every_way_of_publishing_says_when_the_task_must_have_ended(written, send):
    began = time.time()
    headers = written(send)
    assert began + 59 < headers[DEADLINE] < time.time() + 61


def test_the_clock_is_the_servers():
    class Server:
        """One whose clock is ten minutes ahead."""

        def call(self, command: str) -> tuple[bytes, bytes]:
            assert command == "TIME"
            return str(int(time.time()) + 600).encode(), b"0"

    class Shelf:
        server = Server()

    clock = Clock(Shelf())  # type: ignore[arg-type]  # all that the clock asks of it
    assert 598 < clock.now() - time.time() < 602
    assert abs(Clock(None).now() - time.time()) < 2
