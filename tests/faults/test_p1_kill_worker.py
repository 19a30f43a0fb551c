"""P1: processes of a worker are killed in the middle of their tasks, and another worker is there to see it."""

from __future__ import annotations

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import RETURN
from tests.faults.harness.seed import times
from tests.faults.harness.waiting import until

SLOTS = 2
TASKS = times(60, 300)
SECONDS = 0.05


def again(verdict) -> int:
    """How many tasks were begun more than once."""
    return sum(1 for starts in verdict.starts.values() if starts > 1)


@pytest.mark.proves("S002-5")
@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_kill_9_of_the_whole_worker_loses_nothing(scenario, server, producer, pool):
    victim = scenario.running(server.url, pool=pool, concurrency=SLOTS)
    scenario.running(server.url, pool=pool, concurrency=SLOTS)
    producer.send(TASKS, "work", SECONDS)
    scenario.wait_for_done(TASKS // 6)
    victim.kill_group()
    verdict = scenario.settle(server, timeout=RETURN + 20)
    verdict.require(duplicates=SLOTS)
    assert again(verdict) <= SLOTS


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork"]))
def test_kill_9_of_the_main_process_loses_nothing_and_leaves_no_orphan(scenario, server, producer, pool):
    victim = scenario.running(server.url, pool=pool, concurrency=SLOTS)
    children = victim.family()
    scenario.running(server.url, pool=pool, concurrency=SLOTS)
    producer.send(TASKS, "work", SECONDS)
    scenario.wait_for_done(TASKS // 6)
    victim.kill_main()
    verdict = scenario.settle(server, timeout=RETURN + 20)
    verdict.require(duplicates=SLOTS)
    assert again(verdict) <= SLOTS
    until(lambda: not any(child.is_running() for child in children), timeout=RETURN, what="the end of the orphans")


@pytest.mark.proves("S002-6")
@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork"]))
def test_kill_9_of_a_child_loses_nothing_and_the_worker_goes_on(scenario, server, producer, pool):
    worker = scenario.running(server.url, pool=pool, concurrency=SLOTS)
    main = worker.pid
    producer.send(TASKS, "work", SECONDS)
    for done in (TASKS // 6, TASKS // 3):
        scenario.wait_for_done(done)
        until(worker.children)
        worker.kill_child()
    verdict = scenario.settle(server, timeout=RETURN + 20)
    verdict.require(duplicates=2)
    assert again(verdict) <= 2
    assert worker.alive
    assert worker.pid == main
    until(lambda: len(worker.children()) == SLOTS, what="a new child for each that was killed")


def test_kill_9_of_the_process_that_starts_the_others_loses_nothing(scenario, server, producer):
    worker = scenario.running(server.url, concurrency=SLOTS, supervised=True)
    producer.send(TASKS, "work", SECONDS)
    scenario.wait_for_done(TASKS // 6)
    for helper in worker.helpers():
        helper.kill()
    verdict = scenario.settle(server, timeout=RETURN + 20)
    verdict.require(duplicates=SLOTS)
    assert again(verdict) <= SLOTS
    until(lambda: len(worker.children()) == SLOTS, what="new children")


def test_kill_9_of_a_worker_with_coroutines_loses_nothing(scenario, server, producer):
    """Each of them has a claim of its own, so all that run at once may run again."""
    victim = scenario.running(server.url, concurrency=1)
    scenario.running(server.url, concurrency=1)
    producer.send(TASKS, "async_work", 1.0)
    scenario.wait_for_started(2)
    victim.kill_group()
    verdict = scenario.settle(server, timeout=RETURN + 20 + TASKS)
    verdict.require()
