"""T1: tasks that end their process, or try to: dead letters or failures in the end, while good tasks run."""

from __future__ import annotations

import pytest
from tests.faults.harness.census import dead_letters
from tests.faults.harness.forms import forms
from tests.faults.harness.poison import DEADLY, MILD
from tests.faults.harness.scenario import RETURN
from tests.faults.harness.waiting import until

from celeriac.exceptions import ResultTimeout, ResultUnavailable

DELIVERIES = 3
"""What the task declares; its last one is the last that is made."""
GOOD = 40


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_whatever_a_task_raises_ends_the_task_and_not_the_worker(scenario, server, producer, pool):
    worker = scenario.running(server.url, pool=pool, concurrency=2)
    main = worker.pid
    children = {child.pid for child in worker.family()}
    poisons = {kind: producer.send(1, "poison", kind)[0] for kind in MILD}
    producer.send(GOOD, "work", 0.01)
    for kind, key in poisons.items():
        with pytest.raises(Exception) as caught:  # noqa: PT011  whichever: the task's own, or what became of it
            producer.results[key].get(timeout=30)
        assert not isinstance(caught.value, (ResultTimeout, ResultUnavailable)), f"{kind}: {caught.value!r}"
        scenario.ledger.write("failed", key)
    scenario.wait_for_done(GOOD)
    verdict = scenario.settle(server)
    verdict.require()
    assert {kind: verdict.starts[key] for kind, key in poisons.items()} == dict.fromkeys(MILD, 1)
    assert worker.pid == main
    assert worker.alive
    assert {child.pid for child in worker.children()} == children


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork"]))
def test_a_task_that_kills_its_process_is_a_dead_letter_after_its_last_delivery(scenario, server, producer, pool):
    worker = scenario.running(server.url, pool=pool, concurrency=2)
    main = worker.pid
    poisons = {kind: producer.send(1, "poison", kind)[0] for kind in DEADLY}
    producer.send(GOOD, "work", 0.05)
    verdict = scenario.settle(server, timeout=60)
    assert verdict.dead == set(poisons.values())
    assert all(verdict.starts[key] <= DELIVERIES + 1 for key in poisons.values())
    verdict.require(dead=len(DEADLY), duplicates=2 * DELIVERIES * len(DEADLY))
    assert {letter["reason"] for letter in dead_letters(server.client)} == {"too-many-deliveries"}
    assert worker.pid == main
    assert worker.alive


@pytest.mark.parametrize("pool", forms([], wide=["threads", "solo"]))
def test_a_task_that_kills_the_whole_worker_is_a_dead_letter_and_no_other_is(scenario, server, producer, pool):
    """Nothing survives here but what a supervisor starts again, and what ran beside the poison is not to blame."""
    worker = scenario.running(server.url, pool=pool, concurrency=2, supervised=True)
    (poison,) = producer.send(1, "poison", "SIGKILL")
    producer.send(GOOD, "work", 0.05)
    verdict = scenario.settle(server, timeout=(DELIVERIES + 1) * RETURN + 20)
    assert verdict.dead == {poison}
    assert verdict.starts[poison] <= DELIVERIES + 1
    verdict.require(dead=1, duplicates=2 * (DELIVERIES + 1))
    assert worker.alive


@pytest.mark.wide
def test_poison_does_not_stop_the_others(scenario, server, producer):
    """As many poisons as processes, all at once: the good ones behind them run before the last poison is buried."""
    worker = scenario.running(server.url, concurrency=2)
    producer.send(4, "poison", "os._exit")
    good = producer.send(GOOD, "work", 0.02)
    until(lambda: set(good) <= set(scenario.ledger.counts("done")), timeout=40, what="the good tasks")
    verdict = scenario.settle(server)
    verdict.require(dead=4, duplicates=2 * 4 * DELIVERIES)
    assert worker.alive
