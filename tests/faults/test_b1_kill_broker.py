"""B1: Redis is killed and comes back with its append-only file, with a backlog and while tasks are sent and run.

The file is synced on every write here. With ``everysec`` a killed *process* loses nothing either, unless the kill meets
the moment in which a slow disk holds a write back: then up to two seconds are lost, which is what everysec says.
"""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.seed import scaled, times

RESUME = 15.0


@pytest.fixture
def server(scenario):
    return scenario.redis(options={"appendfsync": "always"})


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_kill_9_of_redis_loses_no_acknowledged_task_and_no_worker(scenario, server, producer, pool):
    producer.send(times(50, 500), "work", 0.02)
    worker = scenario.running(server.url, pool=pool, concurrency=2, mingle=True)
    main = worker.pid
    with producer.streaming(40, "work", 0.02):
        for _ in range(times(2, 5)):
            time.sleep(scenario.chance.uniform(0.3, 1.0))
            server.kill()
            time.sleep(scaled(0.5, 2))
            server.start()
            done = len(scenario.ledger.counts("done"))
            scenario.wait_for_done(done + 1, timeout=RESUME)
    verdict = scenario.settle(server)
    verdict.require(duplicates=times(2, 5) * 2 * 8)
    assert worker.alive
    assert worker.pid == main
    assert worker.stop() == 0


def test_a_worker_that_starts_without_its_broker_begins_once_it_is_there(scenario, server, producer):
    producer.send(5)
    server.kill()
    worker = scenario.worker(server.url, mingle=True)
    try:
        worker.start(wait=False)
        worker.wait_for("Connection refused")
        server.start()
        scenario.wait_for_done(5, timeout=RESUME + 30)
        assert worker.alive
        scenario.settle(server).require()
    finally:
        worker.close()
