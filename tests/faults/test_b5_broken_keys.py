"""B5: somebody empties Redis, or puts something else where our keys are: no crash loop, and work goes on afterwards."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.forms import forms

RESUME = 15.0
KEYS = [
    "default",
    "default\x06\x166",
    "celeriac.leases",
    "celeriac.deliveries",
    "celeriac.delayed",
    "celeriac.delayed.messages",
    "celeriac.dead",
    "_kombu.binding.default",
]


def works(scenario, producer):
    """Whether a task sent now is run."""
    sent = producer.send(3)
    deadline = time.monotonic() + RESUME
    while not set(sent) <= set(scenario.ledger.counts("done")):
        assert time.monotonic() < deadline, "the worker did not resume"
        time.sleep(0.05)


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_flushall_takes_what_waits_and_no_worker(scenario, server, producer, pool):
    worker = scenario.running(server.url, pool=pool)
    main = worker.pid
    producer.send(4, "work", 1)
    scenario.wait_for_started(2)
    server.flush()
    works(scenario, producer)
    server.client.script_flush()
    works(scenario, producer)
    assert worker.alive
    assert worker.pid == main
    assert worker.stop() == 0


def test_a_key_of_the_wrong_type_stops_no_worker_for_good(scenario, server, producer):
    worker = scenario.running(server.url)
    main = worker.pid
    works(scenario, producer)
    in_flight = [name.decode() for name in server.client.scan_iter(match="*celeriac.inflight:*")]
    for key in [*KEYS, *in_flight]:
        server.client.delete(key)
        server.client.set(key, "what is this?")
        producer.send(1)
        time.sleep(0.3)
        server.client.delete(key)
        works(scenario, producer)
        assert worker.pid == main
    assert worker.alive
    assert worker.stop() == 0


@pytest.mark.wide
def test_keys_that_are_gone_are_made_again(scenario, server, producer):
    worker = scenario.running(server.url)
    producer.send(2, "work", 1)
    scenario.wait_for_started(2)
    for key in server.client.scan_iter(match="*celeriac.*"):
        server.client.delete(key)
    server.client.delete("_kombu.binding.default")
    works(scenario, producer)
    assert worker.alive
    assert worker.stop() == 0
