"""P3: a worker is told to end: kindly, twice, at once, or kindly and then without patience."""

from __future__ import annotations

import signal
import time

import pytest
from tests.faults.harness.census import Census
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import RETURN

POOLS = forms(["lane"], wide=["prefork", "threads", "solo"])
SLOTS = 2
TASKS = 6


@pytest.fixture
def begun(scenario, server, producer, pool):
    """A worker in the middle of its first tasks, of one and a half seconds each."""
    worker = scenario.running(server.url, pool=pool, concurrency=SLOTS)
    producer.send(TASKS, "work", 1.5)
    scenario.wait_for_started(worker.concurrency)
    return worker


def finish(scenario, server, pool):
    """Another worker does what is left."""
    scenario.running(server.url, pool=pool, concurrency=SLOTS)
    return scenario.settle(server, timeout=RETURN + 30)


@pytest.mark.parametrize("pool", POOLS)
def test_sigterm_finishes_what_runs_and_gives_the_rest_back(scenario, server, begun, pool):
    assert begun.stop(timeout=30) == 0
    left = Census.of(server.client)
    ended = scenario.ledger.counts("done")
    assert len(ended) >= begun.concurrency
    assert not left.in_flight
    assert len(left.queued) == TASKS - len(ended)
    verdict = finish(scenario, server, pool)
    verdict.require()
    assert verdict.interrupted == 0


@pytest.mark.parametrize("pool", forms([], wide=["lane", "prefork"]))
def test_sigterm_twice_loses_nothing(scenario, server, begun, pool):
    begun.signal(signal.SIGTERM)
    time.sleep(0.3)
    begun.signal(signal.SIGTERM)
    begun.wait(30)
    verdict = finish(scenario, server, pool)
    verdict.require(duplicates=SLOTS)


@pytest.mark.parametrize("pool", POOLS)
def test_sigquit_ends_at_once_and_what_ran_runs_again(scenario, server, begun, pool):
    begun.signal(signal.SIGQUIT)
    begun.wait(30)
    verdict = finish(scenario, server, pool)
    verdict.require(duplicates=SLOTS)
    assert verdict.interrupted <= SLOTS


@pytest.mark.parametrize("pool", forms(["threads"], wide=["lane", "prefork", "solo"]))
def test_sigquit_does_not_wait_for_a_task_however_long_it_takes(scenario, server, producer, pool):
    worker = scenario.running(server.url, pool=pool, concurrency=SLOTS)
    keys = producer.send(worker.concurrency, "work", 600)
    scenario.wait_for_started(worker.concurrency)
    worker.signal(signal.SIGQUIT)
    worker.wait(30)
    left = Census.of(server.client)
    assert sorted(left.queued) == sorted(keys)
    assert not left.in_flight
    assert not server.client.exists("celeriac.deliveries")  # uncounted
    scenario.verdict(left).require(waiting=len(keys))


@pytest.mark.parametrize("pool", forms([], wide=["lane", "prefork"]))
def test_sigkill_after_a_grace_that_was_too_short_loses_nothing(scenario, server, begun, pool):
    begun.signal(signal.SIGTERM)
    time.sleep(0.5)
    begun.kill_group()
    verdict = finish(scenario, server, pool)
    verdict.require(duplicates=SLOTS)
    assert verdict.interrupted <= SLOTS


@pytest.mark.parametrize("pool", forms([], wide=["lane", "prefork", "threads", "solo"]))
def test_a_soft_shutdown_waits_for_what_runs(scenario, server, producer, pool):
    env = {"CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT": "10"}
    worker = scenario.running(server.url, pool=pool, concurrency=SLOTS, env=env)
    producer.send(TASKS, "work", 1.5)
    scenario.wait_for_started(worker.concurrency)
    worker.signal(signal.SIGQUIT)
    worker.wait(30)
    verdict = finish(scenario, server, pool)
    verdict.require()
    assert verdict.interrupted == 0
