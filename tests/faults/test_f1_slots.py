"""F1: who holds a slot of a limited task is killed or stopped: its slot is free again, and never do too many run."""

from __future__ import annotations

import os
import signal
import time

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE, RETURN
from tests.faults.harness.seed import scaled, times
from tests.faults.harness.waiting import until

LIMIT = 2
TASKS = times(20, 100)
SECONDS = 0.1
LONG = 60


def most_at_once(ledger, gone: dict[int, float] | None = None) -> int:
    """How many ran at the same time at most; ``gone`` says since when which processes did not run any more."""
    gone = gone or {}
    running: dict[tuple[str, int], float] = {}
    most = 0
    for each in ledger:
        if each.kind not in {"started", "done"}:
            continue
        at = (each.key, each.pid)
        if each.kind == "done":
            running.pop(at, None)
            continue
        running[at] = each.seconds
        most = max(most, sum(1 for _, pid in running if gone.get(pid, each.seconds + 1) > each.seconds))
    return most


def kill_a_holder(ledger) -> dict[int, float]:
    """SIGKILL to a process that runs a task just now; gives it with the moment."""
    while True:
        running: dict[str, int] = {}
        for each in ledger:
            if each.kind == "started":
                running[each.key] = each.pid
            elif each.kind == "done":
                running.pop(each.key, None)
        if running:
            _, pid = running.popitem()
            os.kill(pid, signal.SIGKILL)
            return {pid: time.monotonic()}
        time.sleep(0.01)


def pids_of(ledger, keys) -> set[int]:
    return {each.pid for each in ledger if each.kind == "started" and each.key in keys}


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_kill_9_of_the_whole_worker_frees_its_slots_within_the_lease(scenario, server, producer, pool):
    victim = scenario.running(server.url, pool=pool, concurrency=LIMIT)
    keys = producer.send(1 if pool == "solo" else LIMIT, "two", LONG)
    scenario.wait_for_started(len(keys))
    gone = dict.fromkeys(pids_of(scenario.ledger, keys), time.monotonic())
    for key in keys:  # nobody shall run them again
        producer.results[key].revoke()
    scenario.running(server.url, pool=pool, concurrency=LIMIT)
    victim.kill_group()
    more = producer.send(TASKS, "two", SECONDS)
    until(lambda: scenario.ledger.counts("done").keys() >= set(more), timeout=RETURN + LEASE + 20 + TASKS * SECONDS)
    assert most_at_once(scenario.ledger, gone) <= LIMIT


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork"]))
def test_kill_9_of_children_never_lets_too_many_run(scenario, server, producer, pool):
    scenario.running(server.url, pool=pool, concurrency=2 * LIMIT)
    gone: dict[int, float] = {}
    producer.send(TASKS, "two", 4 * SECONDS)
    for done in (TASKS // 6, TASKS // 3):
        scenario.wait_for_done(done)
        gone |= kill_a_holder(scenario.ledger)
    verdict = scenario.settle(server, timeout=RETURN + 40)
    verdict.require(duplicates=2)
    assert sum(verdict.starts.values()) == TASKS + 2, "who was killed ran nothing"
    assert most_at_once(scenario.ledger, gone) <= LIMIT


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads"]))
def test_a_frozen_worker_that_wakes_takes_no_slot_from_others(scenario, server, producer, pool):
    frozen = scenario.running(server.url, pool=pool, concurrency=LIMIT)
    keys = producer.send(LIMIT, "two", 1.0)
    scenario.wait_for_started(LIMIT)
    gone = dict.fromkeys(pids_of(scenario.ledger, keys), time.monotonic())
    frozen.freeze()
    scenario.running(server.url, pool=pool, concurrency=2 * LIMIT)
    others = producer.send(TASKS, "two", 4 * SECONDS)
    until(
        lambda: len(scenario.ledger.counts("done").keys() & set(others)) >= LIMIT,
        timeout=RETURN + LEASE + 20,
        what="that others took over",
    )
    frozen.thaw()
    verdict = scenario.settle(server, timeout=RETURN + 40 + TASKS * SECONDS)
    verdict.require(duplicates=LIMIT)
    assert most_at_once(scenario.ledger, gone) <= LIMIT


@pytest.mark.parametrize("pool", forms(["lane", "threads"], wide=["prefork", "solo"]))
def test_a_task_that_holds_the_interpreters_lock_keeps_its_slot(scenario, server, producer, pool):
    busy = scaled(2 * LEASE, 10 * LEASE)
    scenario.running(server.url, pool=pool, concurrency=1)
    producer.send(1, "single", busy)
    scenario.wait_for_started(1)
    scenario.running(server.url, pool=pool, concurrency=1)
    producer.send(2, "single", 0.1)
    verdict = scenario.settle(server, timeout=busy + RETURN + 30)
    verdict.require()
    assert most_at_once(scenario.ledger) == 1
