"""P6: callers while broker or result backend are refused, swallowed or frozen: an answer in time, and a true one."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until

from celeriac.exceptions import CeleriacError

ANSWER = 5.0
"""Seconds within which a caller has an answer: the budget of 2 s, and a machine that is busy with everything else."""
CALLERS = 50


@pytest.fixture
def proxy(scenario, server):
    return scenario.proxy(server.port)


@pytest.fixture
def calling(scenario, proxy):
    """A producer that has sent before, so its connections are old ones."""
    producer = scenario.producer(proxy.url())
    producer.send(2)
    return producer


def break_it(fault, proxy, server):
    if fault == "frozen":
        server.freeze()
    elif fault == "paused":
        server.pause(8)
    else:
        getattr(proxy, fault)()


def mend_it(fault, proxy, server):
    if fault == "frozen":
        server.thaw()
    elif fault == "paused":
        server.client.execute_command("CLIENT", "UNPAUSE")
    else:
        proxy.mend()


@pytest.mark.parametrize("fault", forms(["refuse", "blackhole", "half_open"], wide=["reset", "frozen", "paused"]))
def test_a_call_is_answered_in_time_and_truly(scenario, server, proxy, calling, fault):
    break_it(fault, proxy, server)
    calling.send(3)
    assert calling.longest <= ANSWER
    if fault in {"refuse", "blackhole", "frozen", "paused"}:
        assert sum(calling.errors.values()) == 3
    mend_it(fault, proxy, server)

    def accepted():
        before = sum(calling.errors.values())
        calling.send(1)
        return sum(calling.errors.values()) == before

    until(accepted, timeout=10, what="a call that is accepted again")
    scenario.running(server.url)
    verdict = scenario.settle(server)
    verdict.require(duplicates=0)
    assert len(verdict.acknowledged) == len(verdict.attempted) - sum(calling.errors.values())


@pytest.mark.parametrize("fault", forms(["blackhole"], wide=["refuse", "half_open"]))
def test_the_event_loop_goes_on_while_calls_wait(server, proxy, calling, fault):
    gaps = []

    async def watch():
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - before)

    async def call(number):
        before = time.monotonic()
        try:
            await calling.registry.work.adelay(f"async-{number}")
        except CeleriacError as error:
            return time.monotonic() - before, error
        return time.monotonic() - before, None

    async def everybody():
        watcher = asyncio.create_task(watch())
        answers = await asyncio.gather(*(call(number) for number in range(CALLERS)))
        watcher.cancel()
        return answers

    break_it(fault, proxy, server)
    answers = asyncio.run(everybody())
    assert max(seconds for seconds, _ in answers) <= ANSWER
    assert max(gaps) < 1
    if fault != "half_open":
        assert all(error is not None for _, error in answers)
    mend_it(fault, proxy, server)


@pytest.mark.parametrize("fault", forms(["blackhole"], wide=["refuse"]))
def test_a_broken_result_backend_does_not_keep_anybody_from_calling(scenario, server, fault):
    results = scenario.redis()
    proxy = scenario.proxy(results.port)
    producer = scenario.producer(server.url, result_backend=proxy.url())
    producer.send(1)
    getattr(proxy, fault)()
    producer.send(5)
    assert not producer.errors
    assert producer.longest <= ANSWER
    fresh = scenario.producer(server.url, result_backend=proxy.url())
    fresh.ledger.write("attempted", "fresh")
    began = time.monotonic()
    fresh.registry.work.delay("fresh")
    assert time.monotonic() - began <= ANSWER
    fresh.ledger.write("acknowledged", "fresh")
    scenario.running(server.url)
    scenario.settle(server).require()


@pytest.mark.wide
def test_a_call_on_a_slow_network_is_only_slow(scenario, server, proxy, calling):
    proxy.slow(0.2)
    calling.send(3)
    assert not calling.errors
    proxy.mend()
    scenario.running(server.url)
    scenario.settle(server).require()
