"""C1: a worker whose clock is two hours off: nothing runs early, late or twice, since the broker's clock decides."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="needs libfaketime (Debian: apt install libfaketime)")


def off_by(hours: str) -> dict[str, str]:
    """The environment of a process whose wall clock is off; its monotonic clock is what it was."""
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": hours,
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
@pytest.mark.parametrize("hours", forms(["+2h"], wide=["-2h"]))
def test_a_wrong_clock_runs_nothing_early_late_or_twice(scenario, server, producer, pool, hours):
    right = scenario.running(server.url, pool=pool, concurrency=1)
    running = producer.send(1, "work", 2 * LEASE)
    scenario.wait_for_started(1)
    scenario.running(server.url, pool=pool, concurrency=2, env=off_by(hours))
    right_pid = {right.pid, *(child.pid for child in right.family())}
    began = time.monotonic()
    later = producer.send(3, "work", 0.0, countdown=4)
    fresh = producer.send(3, "work", 0.0, expires=60)
    verdict = scenario.settle(server, timeout=40)
    verdict.require()
    starts = {record.key: record for record in scenario.ledger if record.kind == "started"}
    for key in later:
        assert 3.5 <= starts[key].seconds - began <= 20
    for key in fresh:
        assert starts[key].seconds - began <= 20
    assert verdict.starts[running[0]] == 1
    assert starts[running[0]].pid in right_pid


def test_a_task_that_has_expired_by_the_brokers_clock_does_not_run_on_a_clock_that_is_behind(
    scenario, server, producer
):
    expired = producer.send(2, "work", 0.0, expires=0.5)
    time.sleep(1)
    scenario.running(server.url, env=off_by("-2h"))
    producer.send(2)
    scenario.wait_for_done(2)
    for key in expired:
        assert producer.results[key].state.value == "REVOKED"
        scenario.ledger.write("failed", key)
    scenario.settle(server, timeout=5).require()
    assert not set(expired) & set(scenario.ledger.counts("done"))
