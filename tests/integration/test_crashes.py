"""Workers that are killed in the middle of a task."""

from __future__ import annotations

import os
import signal

import pytest
from tests.faults.harness.waiting import until

pytestmark = [pytest.mark.xdist_group("crashes"), pytest.mark.timeout(90)]


@pytest.mark.proves("S002-6")
def test_a_task_whose_pool_process_is_killed_runs_again(alone, start, tmp_path):
    path = tmp_path / "executions"
    start(pool="prefork", concurrency=1)
    result = alone.registry.stall.delay(path)
    until(lambda: path.exists() and path.read_text().strip())
    os.kill(int(path.read_text()), signal.SIGKILL)
    assert result.get(timeout=30) == "execution 2"


@pytest.mark.proves("S002-5")
@pytest.mark.parametrize("pool", ["lane", "prefork", "threads", "solo"])
def test_a_task_whose_worker_is_killed_runs_again_when_its_lease_has_ended(alone, start, tmp_path, pool):
    path = tmp_path / "executions"
    short = {"CELERY_BROKER_LEASE": "2"}
    first = start(pool=pool, env=short)
    result = alone.registry.stall.delay(path)
    until(lambda: path.exists() and path.read_text().strip())
    first.kill()
    assert alone.redis.keys("celeriac.inflight:*")
    start(pool=pool, env=short)
    assert result.get(timeout=60) == "execution 2"
    until(lambda: not alone.redis.keys("celeriac.inflight:*"))


def test_a_worker_that_is_asked_to_stop_finishes_what_it_does(alone, start):
    worker = start(pool="threads", concurrency=1)
    result = alone.registry.sleep.delay(1)
    until(lambda: result.state.value == "STARTED")
    assert worker.stop() == 0
    assert result.get(timeout=5) == 1
