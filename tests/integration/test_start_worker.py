"""What a worker is told at its start, and what holds for it on every broker and pool where that matters."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded
from celery.result import AsyncResult
from tests.faults.harness.waiting import until
from tests.kit.stage import Stage, parts, stage_of, stages

from celeriac.testing.worker import WorkerProcess

WAIT = 20
EVERYWHERE = stages("redis-lane", "redis-prefork", "redis-threads", "redis-solo", "rabbitmq-lane", "rabbitmq-prefork")
PROCESSES = stages("redis-lane", "redis-prefork", "rabbitmq-lane", "rabbitmq-prefork")
everywhere = pytest.mark.parametrize("stage", EVERYWHERE, indirect=True)
in_processes = pytest.mark.parametrize("stage", PROCESSES, indirect=True)
own_workers = pytest.mark.parametrize("name", ["redis-lane", "redis-prefork", "rabbitmq-lane", "rabbitmq-prefork"])


class Evil:
    """Runs code of its own wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.proves("S000-1", "S000-4", "S002-9", "S000-37")
@everywhere
def test_a_result_is_read_by_its_id_and_expires_in_a_day(stage: Stage) -> None:
    task_id = stage.t.add.delay(1, 2).id
    assert AsyncResult(task_id, app=stage.app).get(timeout=WAIT) == 3
    left: Any = stage.redis.ttl(f"celery-task-meta-{task_id}")
    assert 86400 - WAIT < left <= 86400


@pytest.mark.proves("S004-8")
@everywhere
def test_a_pickled_message_is_refused_and_never_unpickled(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "unpickled"
    with stage.app.connection_for_write() as connection, connection.Producer(serializer="pickle") as producer:
        headers = {"lang": "py", "task": "c.same", "id": uuid4().hex, "argsrepr": "", "kwargsrepr": ""}
        producer.publish(((Evil(path),), {}, {}), routing_key="default", headers=headers, retry=False)
    assert stage.t.same.delay(1).get(timeout=WAIT) == 1
    assert not path.exists()


@pytest.mark.proves("S002-7")
@in_processes
def test_soft_and_hard_limits_end_a_task(stage: Stage) -> None:
    soft = stage.t.sleeps.apply_async((60,), soft_time_limit=1, time_limit=30)
    with pytest.raises(SoftTimeLimitExceeded):
        soft.get(timeout=WAIT)
    hard = stage.t.stubborn.apply_async(soft_time_limit=1, time_limit=2)
    with pytest.raises(TimeLimitExceeded):
        hard.get(timeout=WAIT)
    assert (soft.state, hard.state) == ("FAILURE", "FAILURE")
    assert stage.t.same.delay(1).get(timeout=WAIT) == 1


@pytest.mark.proves("S004-16", "S004-17")
@in_processes
def test_a_running_task_is_told_and_stopped(stage: Stage) -> None:
    running = stage.t.sleeps.delay(60)
    inspect = stage.app.control.inspect([stage.worker.node], timeout=5)
    until(lambda: running.id in [each["id"] for each in (inspect.active() or {}).get(stage.worker.node, ())])
    stage.app.control.revoke(running.id, terminate=True)
    with pytest.raises(TaskRevokedError):
        running.get(timeout=WAIT)
    assert stage.t.same.delay(1).get(timeout=WAIT) == 1


@pytest.mark.proves("S004-19")
@in_processes
def test_a_rate_of_each_worker_holds(stage: Stage) -> None:
    results = [stage.t.metered.delay() for _ in range(5)]
    starts = sorted(result.get(timeout=WAIT) for result in results)
    # Celery's bucket lets the first through at once: four more take three quarters of a second at least.
    assert starts[-1] - starts[0] > 0.7
    (answer,) = _control(stage).rate_limit("c.metered", "100/s", reply=True, timeout=5, limit=1)
    assert "ok" in answer[stage.worker.node]
    try:
        results = [stage.t.metered.delay() for _ in range(10)]
        starts = sorted(result.get(timeout=WAIT) for result in results)
        assert starts[-1] - starts[0] < 2
    finally:
        _control(stage).rate_limit("c.metered", "4/s", reply=True, timeout=5, limit=1)


@pytest.mark.proves("S002-8", "S000-38")
@in_processes
def test_a_busy_process_keeps_no_messages_from_the_others(stage: Stage) -> None:
    """With a prefetch multiplier of 1, quick tasks do not wait behind a long one while another process is free."""
    long = stage.t.sleeps.delay(4)
    quick = [stage.t.same.delay(number) for number in range(10)]
    assert [result.get(timeout=3) for result in quick] == list(range(10))
    assert long.state != "SUCCESS"
    assert long.get(timeout=WAIT) == 4


def _control(stage: Stage) -> Any:
    return stage.app.control


@contextmanager
def a_worker(stage: Stage, name: str, *arguments: str, concurrency: int = 1, **env: str) -> Generator[WorkerProcess]:
    """Another worker on the servers of a stage."""
    _, pool = parts(name)
    conf = stage.app.conf
    urls = {"CELERY_BROKER_URL": conf.broker_url, "CELERY_RESULT_BACKEND": conf.result_backend}
    with WorkerProcess(
        "tests.kit.canvas",
        redis_url=conf.result_backend,
        pool=pool,
        concurrency=concurrency,
        arguments=arguments,
        env=urls | env,
    ) as worker:
        yield worker


@pytest.mark.proves("S000-3", "S000-28", "S000-40")
@in_processes
def test_a_queue_is_read_by_the_worker_that_names_it_and_the_urgent_run_first(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    queue, key = f"high_priority_{uuid4().hex[:6]}", uuid4().hex
    queues: Any = stage.app.amqp.queues
    queues.select_add(queue)
    # Redis: the lower the more urgent; a quorum queue of RabbitMQ knows two classes, up to 4 and above.
    order = [9, 6, 3, 0] if stage.broker == "redis" else [0, 9]
    for priority in order:
        stage.t.noted.apply_async((priority,), {"key": key}, queue=queue, priority=priority)
    stage.t.same.delay(1).get(timeout=WAIT)
    assert stage.noted(key) == []
    with a_worker(stage, name, f"--queues={queue}"):
        until(lambda: len(stage.noted(key)) == len(order))
    if stage.broker == "redis":
        assert stage.noted(key) == [str(priority) for priority in reversed(order)]
    else:
        assert sorted(stage.noted(key)) == ["0", "9"]


@pytest.mark.proves("S004-21")
@pytest.mark.parametrize("name", ["redis-lane", "redis-prefork", "rabbitmq-lane"])
def test_a_worker_grows_with_its_work_and_shrinks_again(name: str) -> None:
    _, pool = parts(name)
    with stage_of(name, arguments=["--autoscale=3,1"], env={"AUTOSCALE_KEEPALIVE": "1"}) as stage:
        inspect = stage.app.control.inspect([stage.worker.node], timeout=5)

        def processes() -> int:
            told: Any = inspect.stats() or {}
            return len(told.get(stage.worker.node, {}).get("pool", {}).get("processes", ()))

        until(lambda: processes() == 1)
        began = time.monotonic()
        busy = [stage.t.sleeps.delay(5) for _ in range(3)]
        until(lambda: processes() == 3)
        for result in busy:
            result.get(timeout=30)
        assert time.monotonic() - began < 14, f"one process did it all, in {pool}"
        until(lambda: processes() == 1, timeout=30)
        assert stage.t.same.delay(1).get(timeout=WAIT) == 1
