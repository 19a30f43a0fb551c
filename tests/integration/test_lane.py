"""The fast lane's pool on Redis: what its children do with messages, and what its parent does about its children."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

import pytest
from celery import chain, chord
from celery.exceptions import NotRegistered
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.lanes"
pytestmark = pytest.mark.xdist_group("lane")


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def redis(url: str) -> Generator[Redis]:
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield redis


@pytest.fixture(scope="module")
def app(url: str) -> Generator[Any]:
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))) as app:
        yield app


@pytest.fixture(scope="module")
def worker(url: str, redis: Redis) -> Generator[WorkerProcess]:
    with WorkerProcess(APP, redis_url=url, concurrency=2) as worker:
        yield worker


@pytest.fixture
def call(app: Any, worker: WorkerProcess) -> Callable[..., Any]:
    """Send a task by name to the running worker."""

    def _call(name: str, *args: Any, **options: Any) -> Any:
        return app.send_task(name, args, **options)

    return _call


def processes(worker: WorkerProcess, app: Any) -> list[int]:
    stats = app.control.inspect(destination=[worker.node], timeout=5).stats()
    return list(stats[worker.node]["pool"]["processes"])


def outcome(result: Any, timeout: float = 20) -> Any:
    return result.get(timeout=timeout, propagate=False)


def test_children_run_tasks_in_place(call: Callable[..., Any], app: Any, worker: WorkerProcess) -> None:
    pids = {outcome(each) for each in [call("nap", 0.2) for _ in range(8)]}
    assert pids == set(processes(worker, app))


def test_a_task_sees_the_request_that_celery_would_show_it(call: Callable[..., Any], worker: WorkerProcess) -> None:
    result = call("seen", priority=3, time_limit=50, soft_time_limit=40)
    assert outcome(result) == {
        "hostname": worker.node,
        "delivery_info": {"exchange": "", "routing_key": "default", "priority": 3, "redelivered": False},
        "correlation_id": result.id,
        "reply_to": True,
        "is_eager": False,
        "called_directly": False,
        "args": [],
        "kwargs": {},
        "root": True,
        "timelimit": [50, 40],
    }


def test_nothing_is_held_when_all_is_done(call: Callable[..., Any], redis: Redis) -> None:
    results = [call("quick", at) for at in range(300)]
    assert [outcome(each) for each in results] == list(range(300))
    until(lambda: not redis.keys("celeriac.inflight:*"))
    assert not redis.keys("celeriac.deliveries")


def test_retries_links_and_chords_go_on(call: Callable[..., Any], app: Any) -> None:
    quick = app.signature("quick")
    assert outcome(call("again")) == 2
    assert outcome(chain(quick.clone((4,)), quick.clone()).apply_async()) == 4
    assert sorted(outcome(chord([quick.clone((at,)) for at in range(5)])(quick.clone()))) == [0, 1, 2, 3, 4]
    assert isinstance(outcome(call("hopeless")), ValueError)


@pytest.mark.parametrize("kind", ["memory", "exit", "depth", "typed"])
def test_what_ends_a_process_elsewhere_ends_the_task_alone(
    kind: str, call: Callable[..., Any], app: Any, worker: WorkerProcess
) -> None:
    before = processes(worker, app)
    result = call("greedy", kind)
    outcome(result)
    assert result.state == "FAILURE"
    assert processes(worker, app) == before


def test_a_soft_limit_is_raised_in_the_task(call: Callable[..., Any]) -> None:
    assert outcome(call("limited")) == "SoftTimeLimitExceeded"


@pytest.mark.proves("S002-7")
def test_a_hard_limit_ends_a_task_that_swallows_everything(
    call: Callable[..., Any], app: Any, worker: WorkerProcess, redis: Redis
) -> None:
    other = call("nap", 2)
    result = call("stubborn")
    assert "TimeLimitExceeded" in repr(outcome(result))
    assert result.state == "FAILURE"
    assert outcome(other) in processes(worker, app)
    until(lambda: not redis.keys("celeriac.inflight:*"))


@pytest.mark.proves("S002-6")
def test_a_task_that_kills_its_process_again_and_again_is_given_up(call: Callable[..., Any], redis: Redis) -> None:
    result = call("vanish")
    assert "TooManyDeliveries" in repr(outcome(result))
    assert redis.zcard("celeriac.dead")
    assert outcome(call("quick", 1)) == 1


def test_a_lost_worker_fails_the_task_where_it_is_not_to_be_repeated(call: Callable[..., Any]) -> None:
    for name in ("vanish.failing", "vanish.early"):
        result = call(name)
        assert "WorkerLostError" in repr(outcome(result))
        assert result.state == "FAILURE"


def test_a_rate_limit_holds_for_all_children_together(call: Callable[..., Any]) -> None:
    starts = sorted(outcome(each) for each in [call("paced") for _ in range(21)])
    assert starts[-1] - starts[0] > 0.9  # 20 gaps of 50 ms, one clock


def test_an_unknown_task_is_refused_as_celery_does(call: Callable[..., Any]) -> None:
    result = call("nobody")
    assert isinstance(outcome(result), NotRegistered)


def test_coroutines_wait_side_by_side_while_tasks_go_on(call: Callable[..., Any]) -> None:
    began = time.monotonic()
    waiting = [call("beside", 2.0) for _ in range(100)]
    assert outcome(call("quick", "between")) == "between"
    assert not all(each.ready() for each in waiting)
    assert len({outcome(each) for each in waiting}) <= 2
    assert time.monotonic() - began < 60  # one after the other they would take minutes


@pytest.mark.parametrize(
    ("options", "error"),
    [({"soft_time_limit": 1}, "SoftTimeLimitExceeded"), ({"time_limit": 1}, "TimeLimitExceeded")],
)
def test_each_coroutine_has_limits_of_its_own(options: dict[str, int], error: str, call: Callable[..., Any]) -> None:
    beside = call("beside", 3.0)
    assert type(outcome(call("beside", 60.0, **options))).__name__ == error
    assert isinstance(outcome(beside), int)


def test_messages_behind_a_long_task_go_to_another_child(call: Callable[..., Any]) -> None:
    for _ in range(50):
        call("quick")
    results = [call("nap", 0.0) for _ in range(20)] + [call("nap", 5.0)] + [call("nap", 0.0) for _ in range(20)]
    long = results.pop(20)
    for each in results:
        outcome(each)
    assert not long.ready()
    outcome(long)


@pytest.mark.proves("S004-16")
def test_inspection_shows_all_children_as_one_worker(call: Callable[..., Any], app: Any, worker: WorkerProcess) -> None:
    inspect = app.control.inspect(destination=[worker.node], timeout=5)
    results = [call("nap", 3.0), call("beside", 3.0)]
    parked = call("quick", countdown=60)
    until(lambda: len(inspect.active()[worker.node]) == 2)
    assert {each["id"] for each in inspect.active()[worker.node]} == {each.id for each in results}
    assert inspect.query_task(results[0].id)[worker.node][results[0].id][0] == "active"
    until(lambda: [each["request"]["id"] for each in inspect.scheduled()[worker.node]] == [parked.id])
    assert inspect.ping()[worker.node] == {"ok": "pong"}
    assert "quick" in str(inspect.registered()[worker.node])
    assert inspect.stats()[worker.node]["total"]["nap"] >= 1
    for each in results:
        outcome(each)


@pytest.mark.proves("S004-17")
def test_revoking_ends_exactly_the_task_that_is_meant(
    call: Callable[..., Any], app: Any, worker: WorkerProcess, redis: Redis
) -> None:
    meant, other = call("nap", 30.0), call("nap", 3.0)
    until(lambda: meant.state == other.state == "STARTED")
    meant.revoke(terminate=True)
    until(lambda: meant.state == "REVOKED")
    assert outcome(other) in processes(worker, app)
    coroutine = call("beside", 30.0)
    until(lambda: coroutine.state == "STARTED")
    coroutine.revoke(terminate=True)
    until(lambda: coroutine.state == "REVOKED")
    until(lambda: not redis.keys("celeriac.inflight:*"))


def test_a_revoked_task_is_not_begun_by_any_child(call: Callable[..., Any], app: Any) -> None:
    busy = [call("nap", 2.0), call("nap", 2.0)]
    results = [call("quick") for _ in range(4)]
    app.control.revoke([each.id for each in results])
    for each in busy:
        outcome(each)
    until(lambda: {each.state for each in results} == {"REVOKED"})


def test_limits_and_queues_are_changed_for_all_children(
    call: Callable[..., Any], app: Any, worker: WorkerProcess
) -> None:
    said: dict[str, Any] = {"destination": [worker.node], "reply": True, "timeout": 5}
    app.control.time_limit("nap", soft=1, hard=5, **said)
    until(lambda: type(outcome(call("nap", 3.0))).__name__ == "SoftTimeLimitExceeded")
    app.control.time_limit("nap", soft=None, hard=None, **said)
    app.control.add_consumer("aside", **said)
    assert outcome(call("quick", 7, queue="aside")) == 7
    app.control.cancel_consumer("aside", **said)


def test_the_pool_grows_and_shrinks(app: Any, worker: WorkerProcess) -> None:
    said: dict[str, Any] = {"destination": [worker.node], "reply": True, "timeout": 5}
    app.control.pool_grow(2, **said)
    until(lambda: len(processes(worker, app)) == 4)
    app.control.pool_shrink(2, **said)
    until(lambda: len(processes(worker, app)) == 2)


def test_a_killed_child_is_replaced_and_its_task_runs_again(
    call: Callable[..., Any], app: Any, worker: WorkerProcess
) -> None:
    result, other = call("nap", 2.0), call("nap", 2.0)
    until(lambda: result.state == "STARTED")
    inspect = app.control.inspect(destination=[worker.node], timeout=5)
    running = {each["id"]: each["worker_pid"] for each in until(lambda: inspect.active()[worker.node])}
    os.kill(running[result.id], signal.SIGKILL)
    assert outcome(result) != running[result.id]
    assert outcome(other)


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGQUIT], [signal.SIGTERM, signal.SIGTERM]])
def test_whatever_ends_a_worker_leaves_every_message_done_or_queued(signals: list[int], app: Any, url: str) -> None:
    queue = f"ending-{len(signals)}-{signals[0]}"
    results = [app.send_task("nap", (2.0,), queue=queue) for _ in range(6)]
    with Redis.from_url(url) as redis, WorkerProcess(APP, redis_url=url, concurrency=2, queues=[queue]) as ending:
        until(lambda: sum(each.state == "STARTED" for each in results) == 2)
        for each in signals:
            os.kill(ending.pid, each)
            time.sleep(0.1)
        until(lambda: ending.returncode is not None)
        done = sum(each.state == "SUCCESS" for each in results)
        assert done == (0 if signals == [signal.SIGQUIT] else 2)
        queued = sum(redis.llen(key) for key in redis.keys(f"{queue}*"))
        assert done + queued == len(results)


def test_children_of_a_killed_main_process_are_gone_with_it(app: Any, url: str) -> None:
    with WorkerProcess(APP, redis_url=url, concurrency=2, queues=["orphans"]) as killed:
        pids = processes(killed, app)
        os.kill(killed.pid, signal.SIGKILL)
        until(lambda: not any(_alive(pid) for pid in pids))


def test_children_are_replaced_after_their_share_of_tasks(app: Any, url: str) -> None:
    options = ["--max-tasks-per-child=10"]
    with WorkerProcess(APP, redis_url=url, concurrency=1, queues=["shares"], arguments=options) as worker:
        results = [app.send_task("nap", (0.0,), queue="shares") for _ in range(35)]
        assert len({outcome(each) for each in results}) == 4
        assert len(processes(worker, app)) == 1


def test_autoscale_follows_the_load(app: Any, url: str) -> None:
    with WorkerProcess(APP, redis_url=url, concurrency=1, queues=["load"], arguments=["--autoscale=4,1"]) as worker:
        assert len(processes(worker, app)) == 1
        results = [app.send_task("nap", (3.0,), queue="load") for _ in range(8)]
        until(lambda: len(processes(worker, app)) == 4)
        for each in results:
            outcome(each)


def _alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False
