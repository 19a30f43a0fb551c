"""T2: time limits hold whatever a task does, and cost nobody else anything."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded
from tests.faults.harness.forms import forms

KINDS = {"sleep": SoftTimeLimitExceeded, "endless-in-C": TimeLimitExceeded, "swallows-everything": TimeLimitExceeded}
GOOD = 20


@pytest.mark.proves("S002-7")
@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork"]))
def test_a_task_over_its_limits_ends_and_the_worker_goes_on(scenario, server, producer, pool):
    worker = scenario.running(server.url, pool=pool, concurrency=2)
    main = worker.pid
    slow = {kind: producer.send(1, "limited", kind)[0] for kind in KINDS}
    good = producer.send(GOOD, "work", 0.01)
    for kind, error in KINDS.items():
        with pytest.raises(error):
            producer.results[slow[kind]].get(timeout=30)
        scenario.ledger.write("failed", slow[kind])
    scenario.wait_for_done(len(good))
    verdict = scenario.settle(server)
    verdict.require()
    assert {kind: verdict.starts[key] for kind, key in slow.items()} == dict.fromkeys(KINDS, 1)
    assert worker.pid == main
    assert worker.alive
