"""How many of a task run at once, on every pool: never more than may, and a slot ends with the task however it ends."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.slots import QUEUE, Ledger, Registry, made

from celeriac import TaskState
from celeriac.exceptions import TaskRevoked
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

POOLS = [
    pytest.param(pool, marks=pytest.mark.xdist_group(f"slots-{pool}"))
    for pool in ("lane", "prefork", "threads", "solo")
]
WAIT = 30
"""Seconds; half of what it would take a waiter to come by itself, so that who is not woken fails the test."""


class Stage:
    """Workers of one pool on a server of their own, and what they do."""

    def __init__(self, pool: str, url: str, registry: Registry, workers: list[WorkerProcess]) -> None:
        self.pool = pool
        self.url = url
        self.registry = registry
        self.workers = workers
        self.ledger = Ledger(url)

    @property
    def put_back(self) -> int:
        return sum(worker.log.count(" at once") for worker in self.workers)


@pytest.fixture(scope="module", params=POOLS)
def stage(request: pytest.FixtureRequest) -> Generator[Stage]:
    pool = str(request.param)
    with redis_server() as url:
        app, registry = made(redis_url=url)
        said: dict[str, Any] = {"redis_url": url, "queues": [QUEUE], "pool": pool}
        said["concurrency"] = 1 if pool == "solo" else 4
        with client(app), WorkerProcess("tests.kit.slots", **said) as one:
            if pool != "solo":
                yield Stage(pool, url, registry, [one])
                return
            with WorkerProcess("tests.kit.slots", **said) as other:
                yield Stage(pool, url, registry, [one, other])


@pytest.fixture(autouse=True)
def _clean(stage: Stage) -> None:
    with Redis.from_url(stage.url) as redis:
        redis.delete("ledger")


@pytest.mark.proves("S004-19")
def test_no_more_run_at_once_than_may_and_each_waits_once(stage):
    before = stage.put_back
    results = [stage.registry.two.delay(0.05) for _ in range(30)]
    for result in results:
        result.get(timeout=WAIT)
    assert stage.ledger.most_at_once() == {"two": 2}
    assert stage.put_back - before <= 30, "tasks came back in vain"


def test_each_value_of_the_key_is_counted_apart(stage):
    results = [stage.registry.keyed.delay(account, seconds=0.1) for account in "ab" * 6]
    for result in results:
        result.get(timeout=WAIT)
    assert stage.ledger.most_at_once() == {"a": 1, "b": 1}


def test_a_slot_ends_with_a_failure_and_with_a_retry(stage):
    for _ in range(2):
        with pytest.raises(RuntimeError):
            stage.registry.fails.delay().get(timeout=WAIT)
    begun = [line for line in stage.ledger.lines() if line[2] == "begin"]
    assert len(begun) == 4
    assert stage.ledger.most_at_once() == {"fails": 1}


@pytest.mark.parametrize(("stubborn", "error"), [(False, SoftTimeLimitExceeded), (True, TimeLimitExceeded)])
def test_a_slot_ends_with_a_time_limit(stage, stubborn, error):
    for _ in range(2):
        with pytest.raises(error):
            stage.registry.limited.delay(stubborn=stubborn).get(timeout=WAIT)


def test_a_slot_ends_with_a_task_that_is_revoked_while_it_runs(stage):
    if stage.pool == "solo":
        pytest.skip("a solo worker hears of nothing while a task runs")
    first = stage.registry.keyed.delay("revoked", seconds=60)
    until(stage.ledger.lines, timeout=WAIT)
    second = stage.registry.keyed.delay("revoked", seconds=0)
    until(lambda: second.state is TaskState.RETRY, timeout=WAIT)
    first.revoke(terminate=True)
    second.get(timeout=WAIT)
    with pytest.raises(TaskRevoked):
        first.get(timeout=WAIT)


def test_who_is_revoked_while_it_waits_holds_nobody_up(stage):
    first = stage.registry.keyed.delay("line", seconds=1.5)
    until(stage.ledger.lines, timeout=WAIT)
    second = stage.registry.keyed.delay("line", seconds=0)
    until(lambda: second.state is TaskState.RETRY, timeout=WAIT)
    third = stage.registry.keyed.delay("line", seconds=0)
    second.revoke()
    third.get(timeout=WAIT)
    first.get(timeout=WAIT)


def test_coroutines_are_counted_too(stage):
    for result in [stage.registry.idles.delay(0.1) for _ in range(12)]:
        result.get(timeout=WAIT)
    assert stage.ledger.most_at_once() == {"idles": 2}


def test_why_it_waits_stands_with_its_state(stage):
    first = stage.registry.keyed.delay("told", seconds=1.5)
    until(stage.ledger.lines, timeout=WAIT)
    second = stage.registry.keyed.delay("told", seconds=0)
    until(lambda: second.state is TaskState.RETRY, timeout=WAIT)
    with Redis.from_url(stage.url) as redis:
        stored: Any = redis.get(f"celery-task-meta-{second.id}")
    assert b"slots.keyed waits: 1 at once for each account, and 0 wait before it" in stored
    second.get(timeout=WAIT)
    first.get(timeout=WAIT)
