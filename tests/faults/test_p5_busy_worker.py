"""P5: tasks that keep a process from all else for longer than its lease, while another worker waits for work."""

from __future__ import annotations

import shutil

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE
from tests.faults.harness.seed import scaled
from tests.faults.harness.waiting import until

BUSY = scaled(2 * LEASE, 20 * LEASE)


def run_beside_an_idle_worker(scenario, server, producer, task, pool, **options):
    busy = scenario.running(server.url, pool=pool, concurrency=1, **options)
    keys = producer.send(1, task, BUSY)
    scenario.wait_for_started(1)
    scenario.running(server.url, pool=pool, concurrency=1)
    producer.send(5)
    verdict = scenario.settle(server, timeout=BUSY + 30)
    verdict.require()
    assert busy.alive
    assert verdict.starts[keys[0]] == 1
    assert verdict.interrupted == 0


@pytest.mark.parametrize("pool", forms(["lane", "threads"], wide=["prefork", "solo"]))
def test_a_task_that_holds_the_interpreters_lock_keeps_its_lease(scenario, server, producer, pool):
    run_beside_an_idle_worker(scenario, server, producer, "grip", pool)


@pytest.mark.parametrize("pool", forms([], wide=["lane", "prefork", "threads", "solo"]))
def test_a_task_that_uses_up_the_processor_keeps_its_lease(scenario, server, producer, pool):
    run_beside_an_idle_worker(scenario, server, producer, "spin", pool)


@pytest.mark.wide
@pytest.mark.skipif(shutil.which("taskset") is None, reason="needs taskset, of util-linux")
def test_a_worker_starved_of_the_processor_keeps_its_leases(scenario, server, producer):
    """Four processes that want one processor alone, and their main process on the same."""
    prefix = ["taskset", "--cpu-list", "0", "nice", "-n", "10"]
    busy = scenario.running(server.url, concurrency=4, prefix=prefix)
    producer.send(4, "spin", BUSY)
    until(lambda: len(scenario.ledger.counts("started")) >= 2, timeout=30)
    scenario.running(server.url, concurrency=2)
    verdict = scenario.settle(server, timeout=BUSY + 40)
    verdict.require()
    assert verdict.interrupted == 0
    assert busy.alive
