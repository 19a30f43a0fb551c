"""B3: Redis stops answering and then goes on: its process is stopped, or holds every command back."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE
from tests.faults.harness.seed import scaled

SLOTS = 2
RESUME = 15.0
ANSWER = 5.0
FROZEN = scaled(LEASE + 1, 15)


@pytest.mark.parametrize("fault", forms(["frozen"], wide=["paused"]))
def test_a_redis_that_does_not_answer_costs_time_alone(scenario, server, producer, fault):
    worker = scenario.running(server.url, concurrency=SLOTS, mingle=True)
    main = worker.pid
    with producer.streaming(30, "work", 0.02):
        scenario.wait_for_done(10)
        if fault == "frozen":
            server.freeze()
            time.sleep(FROZEN)
            server.thaw()
        else:
            server.pause(FROZEN)
            time.sleep(FROZEN)
        done = len(scenario.ledger.counts("done"))
        scenario.wait_for_done(done + 1, timeout=RESUME)
    assert producer.longest <= ANSWER
    verdict = scenario.settle(server)
    verdict.require(duplicates=SLOTS * 8)
    assert worker.alive
    assert worker.pid == main
