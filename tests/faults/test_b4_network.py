"""B4: the network between a worker and its broker resets, refuses, swallows, dies half, and cuts replies in two."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE
from tests.faults.harness.seed import scaled, times

SLOTS = 2
RESUME = 15.0
ANSWER = 5.0
FAULTS = ("reset", "refuse", "blackhole", "half_open", "mute", "cut", "slow")
BROKEN = scaled(LEASE + 1, 20)


@pytest.fixture
def proxy(scenario, server):
    return scenario.proxy(server.port)


@pytest.fixture
def calling(scenario, proxy):
    return scenario.producer(proxy.url())


@pytest.fixture
def worker(scenario, proxy, pool):
    return scenario.running(proxy.url(), pool=pool, concurrency=SLOTS, mingle=True)


def break_it(fault, proxy, chance):
    if fault == "reset":
        for _ in range(5):
            proxy.reset()
            time.sleep(chance.uniform(0.1, 0.5))
    elif fault == "cut":
        for _ in range(times(10, 50)):
            proxy.cut_after(chance.randrange(1, 60))
            time.sleep(0.1)
    elif fault == "half_open":
        proxy.half_open()
    elif fault == "slow":
        proxy.slow(0.05)
        time.sleep(BROKEN / 2)
    else:
        getattr(proxy, fault)()
        time.sleep(BROKEN)
    if fault != "half_open":
        proxy.mend()


def test_a_claim_that_arrives_after_its_worker_gave_up_takes_nothing_out_of_reach(scenario, server, proxy, producer):
    """It was on its way when the worker connected again: what it takes must not stay with a worker that never knew."""
    worker = scenario.running(proxy.url(), concurrency=1)
    producer.send(3)
    scenario.wait_for_done(3)
    proxy.hold()  # an idle worker looks every second, so a claim is soon on its way, and then given up
    worker.wait_for("the broker is out of reach", timeout=20)
    time.sleep(2)  # until it is idle again, on new connections
    worker.freeze()
    sent = producer.send(5)
    proxy.mend()
    time.sleep(0.5)
    worker.thaw()
    producer.send(5)
    verdict = scenario.settle(server, timeout=LEASE + 20)
    verdict.require(duplicates=len(sent))


@pytest.mark.parametrize(
    ("pool", "fault"),
    forms(
        [("lane", fault) for fault in ("reset", "half_open", "mute", "cut")],
        wide=[
            *(("lane", fault) for fault in ("refuse", "blackhole", "slow")),
            *((pool, fault) for pool in ("prefork", "threads", "solo") for fault in FAULTS),
        ],
    ),
)
def test_a_broken_network_costs_time_alone(scenario, proxy, worker, calling, fault):
    main = worker.pid
    with calling.streaming(30, "work", 0.02):
        scenario.wait_for_done(10)
        break_it(fault, proxy, scenario.chance)
        sent = calling.send(1)[0]
        while sent not in scenario.ledger.counts("acknowledged"):  # the last call of all may have met the fault
            sent = calling.send(1)[0]
        deadline = time.monotonic() + RESUME
        while sent not in scenario.ledger.counts("done"):
            assert time.monotonic() < deadline, "the worker did not resume"
            time.sleep(0.1)
    assert calling.longest <= ANSWER
    verdict = scenario.settle()
    verdict.require(duplicates=SLOTS * 16)
    assert worker.alive
    assert worker.pid == main
