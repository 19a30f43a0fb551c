"""L1: everything at once and for long: a random fault every few seconds, under load, and no resource that grows."""

from __future__ import annotations

import time

import pytest
from tests.faults.harness.seed import FULL, scaled, times
from tests.faults.harness.waiting import until

FAULTS = times(4, 90)
EVERY = scaled(2, 20)
SLOTS = 2
RATE = 30
MEMORY = 30 << 20
DESCRIPTORS = 16
CONNECTIONS = 16
"""Each process may open one more for its threads that do not claim, and a fault leaves some half open for a while."""


def kill_a_child(scenario, server, proxy, worker):
    children = worker.children()
    worker.kill_child(scenario.chance.randrange(len(children)))


def kill_redis(scenario, server, proxy, worker):
    server.kill()
    time.sleep(scenario.chance.uniform(0, 1))
    server.start()


def freeze_redis(scenario, server, proxy, worker):
    server.freeze()
    time.sleep(scenario.chance.uniform(0.2, 2))
    server.thaw()


def reset(scenario, server, proxy, worker):
    proxy.reset()


def half_open(scenario, server, proxy, worker):
    proxy.half_open()


def swallow(scenario, server, proxy, worker):
    proxy.blackhole()
    time.sleep(scenario.chance.uniform(0.2, 2))
    proxy.mend()


def cut(scenario, server, proxy, worker):
    proxy.cut_after(scenario.chance.randrange(1, 60))


KINDS = [kill_a_child, kill_redis, freeze_redis, reset, half_open, swallow, cut]


@pytest.mark.timeout(3600 if FULL else 180)
def test_a_soak_in_faults_loses_nothing_and_lets_nothing_grow(scenario):
    server = scenario.redis(options={"appendfsync": "always"})
    proxy = scenario.proxy(server.port)
    producer = scenario.producer(proxy.url())
    worker = scenario.running(proxy.url(), concurrency=SLOTS, mingle=True)
    main = worker.pid

    def usage():
        until(lambda: len(worker.children()) >= SLOTS, what="all children")
        return worker.rss(), worker.descriptors(), proxy.connections

    kinds = [scenario.chance.choice(KINDS) for _ in range(FAULTS)]
    print("faults:", ", ".join(kind.__name__ for kind in kinds))
    with producer.streaming(RATE, "work", 0.01):
        scenario.wait_for_done(RATE)
        before = usage()
        for kind in kinds:
            kind(scenario, server, proxy, worker)
            time.sleep(EVERY)
            done = len(scenario.ledger.counts("done"))
            scenario.wait_for_done(done + 1, timeout=20)
        time.sleep(1)
        after = usage()
    verdict = scenario.settle(server)
    verdict.require(duplicates=FAULTS * SLOTS * 16)
    assert worker.pid == main
    assert worker.alive
    rss, descriptors, connections = (late - early for early, late in zip(before, after, strict=True))
    assert rss < MEMORY, f"memory grew by {rss / 2**20:.1f} MiB"
    assert descriptors <= DESCRIPTORS
    assert connections <= CONNECTIONS
