"""A coroutine of the lane that blocks its process's event loop, which nothing can make it let go of."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from celery.exceptions import TimeLimitExceeded
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

BESIDE = 10


@pytest.fixture
def url() -> Generator[str]:
    with redis_server() as url:
        with Redis.from_url(url) as redis:
            redis.flushdb()
        yield url


@pytest.fixture
def app(url: str) -> Generator[Any]:
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))) as app:
        yield app


@pytest.mark.proves("S002-7")
def test_it_fails_at_its_hard_limit_and_its_process_is_replaced_and_the_others_run_again(app, url):
    with WorkerProcess("tests.kit.resident", redis_url=url, concurrency=1) as worker:
        pool = app.control.inspect(destination=[worker.node], timeout=5)
        (before,) = pool.stats()[worker.node]["pool"]["processes"]
        others = [app.send_task("beside", (5,)) for _ in range(BESIDE)]
        until(lambda: len(pool.active()[worker.node]) == BESIDE)
        blocker = app.send_task("blocks.in_c", (600,))
        error = blocker.get(timeout=40, propagate=False)
        assert isinstance(error, TimeLimitExceeded)
        assert [each.get(timeout=60, propagate=False) for each in others] == ["done"] * BESIDE
        assert app.send_task("beside", (0.1,)).get(timeout=30) == "done"
        (after,) = pool.stats()[worker.node]["pool"]["processes"]
        assert after != before
        with Redis.from_url(url) as redis:
            until(lambda: not any(redis.hkeys(key) for key in redis.keys("celeriac.inflight:*")))
            assert not redis.keys("celeriac.deliveries")  # none of them was to blame


def test_whoever_is_at_a_limit_because_another_blocks_the_loop_is_not_the_one_that_fails(app, url):
    """All of the same limits, begun at once: only one of them had the loop in its hands."""
    with WorkerProcess("tests.kit.resident", redis_url=url, concurrency=1):
        others = [app.send_task("beside", (4,), soft_time_limit=6, time_limit=7) for _ in range(3)]
        blocker = app.send_task("blocks.in_c", (600,), soft_time_limit=6, time_limit=7)
        assert isinstance(blocker.get(timeout=60, propagate=False), TimeLimitExceeded)
        assert [each.get(timeout=60, propagate=False) for each in others] == ["done"] * len(others)
