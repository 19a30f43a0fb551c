"""Workers that are killed in the middle of a task."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from tests.integration.conftest import until

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
def test_a_task_whose_worker_is_killed_runs_again_after_the_visibility_timeout(alone, start, tmp_path):
    path = tmp_path / "executions"
    # A starting worker looks for lost messages at once, and then every so many seconds.
    options = {"visibility_timeout": 1, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    short = {"CELERY_BROKER_TRANSPORT_OPTIONS": json.dumps(options)}
    first = start(pool="solo", env=short)
    result = alone.registry.stall.delay(path)
    until(lambda: path.exists() and path.read_text().strip())
    first.kill()
    ((_, taken),) = alone.redis.zrange("unacked_index", 0, -1, withscores=True)
    until(lambda: time.time() > taken + 1)
    assert alone.redis.hlen("unacked") == 1
    start(pool="solo", env=short)
    assert result.get(timeout=60) == "execution 2"
    until(lambda: alone.redis.hlen("unacked") == 0)


def test_a_worker_that_is_asked_to_stop_finishes_what_it_does(alone, start):
    worker = start(pool="threads", concurrency=1)
    result = alone.registry.sleep.delay(1)
    until(lambda: result.state.value == "STARTED")
    assert worker.stop() == 0
    assert result.get(timeout=5) == 1
