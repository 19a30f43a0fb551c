"""B6: Redis fills up: callers are refused before it is full, workers drain it even when it is, and nothing is lost."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.waiting import until

MEMORY = 64 << 20
PAYLOAD = "x" * 200_000
PACE = 0.02
"""Seconds between two calls: callers look at the memory once a second, and a flood could fill it in less."""


def used(server) -> int:
    return int(server.client.info("memory")["used_memory"])


def fill(producer, most=2_000):
    """Send large tasks until one is refused."""
    for _ in range(most):
        if producer.errors:
            return
        producer.send(1, "swallow", PAYLOAD)
        time.sleep(PACE)
    pytest.fail("nothing was ever refused")


def test_callers_are_refused_before_redis_is_full_and_heard_again_once_it_is_drained(scenario):
    server = scenario.redis(maxmemory=MEMORY)
    producer = scenario.producer(server.url)
    fill(producer)
    assert used(server) < MEMORY * 0.95
    worker = scenario.running(server.url, mingle=True)
    until(lambda: server.client.llen("default\x06\x166") == 0, timeout=30, what="the end of the backlog")

    def accepted():
        before = sum(producer.errors.values())
        producer.send(1, "swallow", "small")
        return sum(producer.errors.values()) == before

    until(accepted, timeout=20, what="a call that is accepted again")
    verdict = scenario.settle(server)
    verdict.require()
    assert worker.alive


def test_a_worker_starts_on_a_redis_that_is_full_and_drains_it(scenario):
    server = scenario.redis(maxmemory=MEMORY)
    producer = scenario.producer(server.url)
    producer.send(100, "swallow", "small")
    server.client.set("ballast", "x" * 1000)
    while used(server) < MEMORY:
        server.client.append("ballast", "x" * (1 << 20))
    server.configure("maxmemory", str(used(server) - (1 << 20)))
    worker = scenario.running(server.url, mingle=True)
    main = worker.pid
    scenario.wait_for_done(100, timeout=40)
    assert worker.pid == main
    time.sleep(1)
    server.configure("maxmemory", str(MEMORY * 4))
    scenario.settle(server).require()
    assert worker.alive
