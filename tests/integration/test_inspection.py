"""What workers say about themselves, through the API and through Celery's own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tests.faults.harness.waiting import until
from tests.integration.conftest import APP, Broker

from celeriac import TaskState
from celeriac.testing.worker import WorkerProcess

pytestmark = pytest.mark.xdist_group("inspection")
WAIT = 20


def names(tasks: list[dict[str, object]]) -> list[object]:
    return [task["name"] if "name" in task else task["request"]["name"] for task in tasks]  # type: ignore[index]


def command(broker: Broker, worker: WorkerProcess, what: str) -> dict[str, list[dict[str, object]]]:
    line = [sys.executable, "-m", "celery", f"--app={APP}", "inspect", what, f"--destination={worker.node}", "--json"]
    environment = {**os.environ, "REDIS_URL": broker.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=True)
    answers: dict[str, list[dict[str, object]]] = json.loads(ended.stdout)
    return answers


@pytest.mark.proves("S004-16")
def test_active_reserved_and_scheduled_tasks_are_told(alone, start):
    worker = start(pool="threads", concurrency=1, arguments=["--prefetch-multiplier=4"])
    registry = alone.registry
    running = registry.sleep.delay(15)
    until(lambda: running.state is TaskState.STARTED)
    registry.ping.delay()
    registry.add.apply_async((1,), countdown=600)
    inspect = alone.app.control.inspect(destination=[worker.node], timeout=10)

    until(lambda: alone.redis.zcard("celeriac.delayed") == 1)
    until(lambda: names(inspect.reserved()[worker.node]) == ["ping"])
    assert names(inspect.active()[worker.node]) == ["sleep"]
    assert names([each["request"] for each in inspect.scheduled()[worker.node]]) == ["add"]
    assert [names(command(alone, worker, what)[worker.node]) for what in ("active", "reserved")] == [
        ["sleep"],
        ["ping"],
    ]
    worker.kill()


@pytest.mark.parametrize("pool", ["prefork", "solo"])
def test_what_waits_on_the_server_is_told_by_workers_of_each_pool(alone, start, pool):
    worker = start(pool=pool, concurrency=1)
    sent = alone.registry.add.apply_async((1,), countdown=600)
    inspect = alone.app.control.inspect(destination=[worker.node], timeout=10)
    until(lambda: [each["request"]["id"] for each in (inspect.scheduled() or {}).get(worker.node, [])] == [sent.id])
    (told,) = inspect.scheduled()[worker.node]
    assert told["request"]["args"] == [1]
    assert told["eta"] is not None
    worker.kill()


def test_a_worker_tells_the_rate_limit_of_a_task(alone, start):
    worker = start(pool="solo")
    told = alone.app.control.inspect(destination=[worker.node], timeout=10).registered("rate_limit")[worker.node]
    assert "batch [rate_limit=10/m]" in told
