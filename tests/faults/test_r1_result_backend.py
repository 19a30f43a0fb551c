"""R1: the result backend is down, read-only, silent or full of other things: every task runs, results come later."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.seed import scaled, times

from celeriac.exceptions import CeleriacError

TASKS = times(30, 60)
BROKEN = scaled(4, 20)


@pytest.fixture
def results(scenario, server):
    return scenario.redis()


@pytest.fixture
def proxy(scenario, results):
    return scenario.proxy(results.port)


@pytest.fixture
def worker(scenario, server, proxy, pool):
    return scenario.running(server.url, pool=pool, concurrency=2, env={"CELERY_RESULT_BACKEND": proxy.url()})


@pytest.fixture
def producer(scenario, server, proxy):
    return scenario.producer(server.url, result_backend=proxy.url())


@pytest.fixture
def outage(results, proxy, fault):
    """The result backend while it is broken."""

    @contextmanager
    def broken():
        if fault == "killed":
            results.kill()
            yield
            results.start()
        elif fault == "read-only":
            results.client.execute_command("REPLICAOF", "127.0.0.1", "1")
            yield
            results.client.execute_command("REPLICAOF", "NO", "ONE")
        else:
            proxy.blackhole()
            yield
            proxy.mend()

    return broken


def read(producer, key, timeout):
    """The result, asked for until it is there or time is up."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return producer.results[key].get(timeout=2)
        except CeleriacError:
            if time.monotonic() > deadline:
                raise


@pytest.mark.parametrize(
    ("pool", "fault"),
    forms(
        [("lane", "killed"), ("lane", "read-only")],
        wide=[("lane", "blackhole"), *((pool, "killed") for pool in ("prefork", "threads", "solo"))],
    ),
)
def test_a_broken_result_backend_costs_no_task(scenario, producer, worker, outage):
    main = worker.pid
    producer.send(2)
    scenario.wait_for_done(2)
    with outage():
        keys = producer.send(TASKS, "work", 0.02)
        time.sleep(BROKEN)
    verdict = scenario.settle()
    verdict.require(duplicates=2 * 16)
    assert not producer.errors
    assert worker.alive
    assert worker.pid == main
    for key in keys:
        assert read(producer, key, timeout=15) == key


def test_results_that_cannot_be_written_at_all_cost_no_task(scenario, server, results, producer):
    """Something of another type has the keys of the results, or what cannot be read is in them."""
    keys = producer.send(20)
    for number, key in enumerate(keys):
        name = f"celery-task-meta-{producer.results[key].id}"
        if number % 2:
            results.client.lpush(name, "of another type")
        else:
            results.client.set(name, "{not json")
    worker = scenario.running(server.url, env={"CELERY_RESULT_BACKEND": results.url})
    scenario.settle(server).require()
    assert worker.alive


def test_reading_a_result_that_is_not_one_is_a_typed_error(results, proxy, producer):
    wrong, torn, silent = producer.send(3)
    results.client.lpush(f"celery-task-meta-{producer.results[wrong].id}", "of another type")
    results.client.set(f"celery-task-meta-{producer.results[torn].id}", "{not json")
    for key in (wrong, torn):
        with pytest.raises(CeleriacError):
            _ = producer.results[key].state
    proxy.blackhole()
    assert producer.probe(lambda: producer.results[silent].state) <= 10
