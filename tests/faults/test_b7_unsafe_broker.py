"""B7: in production a worker refuses a Redis that would lose tasks, and says what mends it."""

from __future__ import annotations

import pytest

UNSAFE = [
    pytest.param({"aof": False}, "appendonly", id="no-append-only-file"),
    pytest.param({"policy": "allkeys-lru"}, "maxmemory-policy", id="eviction"),
]


@pytest.mark.proves("S004-20")
@pytest.mark.parametrize(("options", "remedy"), UNSAFE)
def test_production_refuses_a_redis_that_would_lose(scenario, options, remedy):
    server = scenario.redis(**options)
    worker = scenario.worker(server.url, env={"ENVIRONMENT": "production"})
    try:
        worker.start(wait=False)
        assert worker.wait(30) != 0
        assert remedy in worker.log
        assert " ready." not in worker.log
    finally:
        worker.close()


@pytest.mark.wide
@pytest.mark.parametrize(("options", "remedy"), UNSAFE)
@pytest.mark.parametrize(
    "env", [{"ENVIRONMENT": "development"}, {"ENVIRONMENT": "production", "CELERY_BROKER_ALLOW_UNSAFE": "true"}]
)
def test_who_says_so_may_start_on_it(scenario, options, remedy, env):
    server = scenario.redis(**options)
    producer = scenario.producer(server.url)
    producer.send(3)
    scenario.running(server.url, env=env)
    scenario.settle(server).require()
