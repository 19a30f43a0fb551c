"""Queues are read by those who say so, and urgent messages first."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.faults.harness.waiting import until
from tests.kit.service import Registry

from celeriac import CeleryPublisher, Priority, TaskResult

pytestmark = pytest.mark.xdist_group("queues")
WAIT = 20
URGENCY = [Priority.LOW, Priority.NORMAL, None, Priority.HIGH, Priority.CRITICAL]


def publish_least_urgent_first(registry: Registry, path: Path) -> list[TaskResult[None]]:
    return [
        registry.record.delay(path, "unsaid")
        if priority is None
        else registry.record.s(path, priority.name).set(priority=priority).delay()
        for priority in URGENCY
    ]


EXPECTED = ["CRITICAL", "HIGH", "NORMAL", "unsaid", "LOW"]


@pytest.mark.proves("S000-3")
def test_on_redis_the_urgent_run_first(alone, start, tmp_path):
    path = tmp_path / "order"
    results = publish_least_urgent_first(alone.registry, path)
    start(pool="solo", queues=["default"], arguments=["--prefetch-multiplier=1"])
    for result in results:
        result.get(timeout=WAIT)
    assert path.read_text().split() == EXPECTED


@pytest.mark.proves("S000-3", "S000-28", "H-7")
def test_a_queue_is_read_only_by_a_worker_that_names_it(alone, start):
    start(pool="solo", arguments=["-Q", "high_priority"])
    ping = alone.registry.ping
    elsewhere = ping.delay()
    here = ping.apply_async(queue="high_priority")
    assert here.get(timeout=WAIT) == {"result": "pong"}
    assert elsewhere.state.value == "PENDING"
    assert alone.redis.llen("default\x06\x166") == 1
    start(pool="solo", queues=["default"])
    assert elsewhere.get(timeout=WAIT) == {"result": "pong"}


@pytest.mark.proves("S000-28", "H-7")
def test_queue_in_the_singular_is_no_option_of_the_worker(alone):
    command = [sys.executable, "-m", "celery", "--app=tests.kit.stock", "worker", "--queue=high_priority"]
    env = {**os.environ, "REDIS_URL": alone.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "No such option" in ended.stderr
    assert "--queue" in ended.stderr


def test_a_worker_without_queues_reads_all_that_are_declared(alone, start):
    start(pool="solo")
    registry = alone.registry
    for queue in ("default", "parcels", "high_priority", "background"):
        assert registry.ping.apply_async(queue=queue).get(timeout=WAIT) == {"result": "pong"}


def test_an_expired_message_is_not_run(alone, start, tmp_path):
    path = tmp_path / "ran"
    late = alone.registry.record.apply_async((path, "ran"), expires=0.01)
    start(pool="solo", queues=["default"])
    until(lambda: late.state.value == "REVOKED")
    assert not path.exists()


def test_publishers_of_one_app_serve_many_threads(alone, start):
    start(pool="threads", concurrency=4)
    registry = Registry(CeleryPublisher(alone.app))
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: registry.add.delay(number, 1), range(40)))
        sums = list(threads.map(lambda result: result.get(timeout=WAIT), results))
    assert sums == [number + 1 for number in range(40)]
