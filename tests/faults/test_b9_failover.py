"""B9: the master dies and Sentinel puts its replica in its place: lost is only what the replica had not heard of."""

from __future__ import annotations

import json

import pytest
from tests.faults.harness.sentinel import WatchedRedis

RESUME = 40.0


@pytest.fixture
def watched(tmp_path):
    with WatchedRedis(tmp_path / "watched") as servers:
        yield servers


def test_a_failover_loses_nothing_that_was_replicated(scenario, watched):
    options = {"master_name": watched.name}
    producer = scenario.producer(
        watched.url,
        broker_transport_options=options,
        result_backend=watched.url,
        result_backend_transport_options=options,
    )
    producer.send(60, "work", 0.05)
    env = {
        "CELERY_BROKER_TRANSPORT_OPTIONS": json.dumps(options),
        "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS": json.dumps(options),
    }
    worker = scenario.running(watched.url, env=env, concurrency=2, mingle=True)
    main = worker.pid
    scenario.wait_for_done(10)
    assert watched.replicated()
    watched.master.kill()
    scenario.wait_for_done(60, timeout=RESUME)
    assert watched.promoted()
    producer.send(5)
    verdict = scenario.settle(watched.replica, timeout=RESUME)
    verdict.require(duplicates=2 * 8)
    assert worker.alive
    assert worker.pid == main
