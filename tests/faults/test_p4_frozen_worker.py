"""P4: a worker stops for longer than its lease, as on a paused machine, and goes on as if nothing had happened."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.census import Census
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE, RETURN
from tests.faults.harness.waiting import until

SLOTS = 2


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads"]))
def test_a_frozen_worker_that_wakes_loses_nothing(scenario, server, producer, pool):
    frozen = scenario.running(server.url, pool=pool, concurrency=SLOTS)
    producer.send(12, "work", 0.3)
    scenario.wait_for_started(SLOTS)
    frozen.freeze()
    scenario.running(server.url, pool=pool, concurrency=SLOTS)
    scenario.wait_for_done(12, timeout=RETURN + 20)
    time.sleep(LEASE)
    frozen.thaw()
    producer.send(4)
    verdict = scenario.settle(server, timeout=30)
    verdict.require(duplicates=SLOTS)
    assert frozen.alive


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork"]))
def test_the_stale_acknowledgement_of_a_worker_that_wakes_takes_nobody_elses_claim(scenario, server, producer, pool):
    frozen = scenario.running(server.url, pool=pool, concurrency=1)
    (key,) = producer.send(1, "stages", [1, 20, 0])
    scenario.wait_for_started(1)
    frozen.freeze()
    other = scenario.running(server.url, pool=pool, concurrency=1)
    until(lambda: scenario.ledger.counts("started")[key] == 2, timeout=RETURN + 10, what="the second execution")
    frozen.thaw()
    until(lambda: scenario.ledger.counts("done")[key] == 1, timeout=10, what="the end of the first execution")
    frozen.stop()  # so it has acknowledged by now: to no effect, since the claim is the other's
    assert Census.of(server.client).in_flight == [key]
    other.kill_group()
    scenario.running(server.url, pool=pool, concurrency=1)
    verdict = scenario.settle(server, timeout=RETURN + 20)
    verdict.require(duplicates=1)
    assert verdict.starts[key] == 3
