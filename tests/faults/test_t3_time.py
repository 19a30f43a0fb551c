"""T3: time that passes runs nothing twice: long tasks, and tasks for later."""

from __future__ import annotations

import pytest
from tests.faults.harness.census import Census
from tests.faults.harness.forms import forms
from tests.faults.harness.seed import scaled, times
from tests.faults.harness.waiting import until

LEASE = 1.0
LONG = scaled(4, 10) * LEASE
LATER = times(10_000, 10_000)
GROWTH = 20 << 20


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_long_tasks_and_tasks_for_later_run_once(scenario, server, producer, pool):
    for _ in range(2):
        scenario.running(server.url, pool=pool, concurrency=2, lease=LEASE)
    producer.send(4, "work", LONG)
    producer.send(6, "work", 0.01, countdown=LONG)
    producer.send(10)
    verdict = scenario.settle(server, timeout=3 * LONG + 20)
    verdict.require()
    assert verdict.interrupted == 0


@pytest.mark.wide
def test_coroutines_that_wait_longer_than_their_lease_run_once(scenario, server, producer):
    for _ in range(2):
        scenario.running(server.url, concurrency=1, lease=LEASE)
    producer.send(20, "async_work", LONG)
    verdict = scenario.settle(server, timeout=3 * LONG + 20)
    verdict.require()
    assert verdict.interrupted == 0


def test_ten_thousand_tasks_for_later_wait_on_the_server_and_not_in_the_worker(scenario, server, producer):
    worker = scenario.running(server.url, concurrency=2)
    producer.send(20)
    scenario.wait_for_done(20)
    before = worker.rss()
    producer.send(LATER, "work", 0.0, countdown=3600)
    until(lambda: server.client.llen("default\x06\x166") == 0, timeout=60, what="the reading of all messages")
    producer.send(10, "work", 0.0, countdown=1)
    scenario.wait_for_done(30)
    grown = worker.rss() - before
    census = Census.of(server.client)
    assert len(census.delayed) == LATER
    assert not census.in_flight
    assert grown < GROWTH, f"the worker grew by {grown / 2**20:.1f} MiB"
    worker.kill_group()
    verdict = scenario.verdict(Census.of(server.client))
    verdict.require(waiting=LATER)
