"""Limits and revocations where tasks run in the worker's own process, which nobody can end for one of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError, TimeLimitExceeded
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.resident"
POOLS = [pytest.param(pool, marks=pytest.mark.xdist_group(f"resident-{pool}")) for pool in ("threads", "solo")]


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module", params=POOLS)
def pool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def worker(pool: Any, url: str) -> Generator[WorkerProcess]:
    with Redis.from_url(url) as redis:
        redis.flushdb()
    with WorkerProcess(APP, redis_url=url, pool=pool, concurrency=3) as worker:
        yield worker


@pytest.fixture
def call(worker: WorkerProcess, url: str) -> Generator[Callable[..., Any]]:
    """Send a task by name to the running worker."""
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))) as app:
        yield lambda name, *args: app.send_task(name, args)


def outcome(result: Any, timeout: float = 30) -> Any:
    return result.get(timeout=timeout, propagate=False)


@pytest.mark.proves("S002-7")
def test_at_the_soft_limit_a_task_sees_an_exception(call):
    error = outcome(call("spins"))
    assert isinstance(error, SoftTimeLimitExceeded)
    assert error.args == (1.0,)
    assert outcome(call("tidies")) == "tidy"


@pytest.mark.proves("S002-7")
def test_at_the_hard_limit_a_task_has_failed_though_it_catches_every_exception(call):
    assert isinstance(outcome(call("ignores.soft")), TimeLimitExceeded)


def test_the_hard_limit_is_nothing_to_try_again(call):
    result = call("hard")
    error = outcome(result)
    assert isinstance(error, TimeLimitExceeded)
    assert error.args == (1.0,)
    assert outcome(call("quick", 1)) == 1


@pytest.mark.proves("S002-7")
def test_a_coroutine_over_its_limit_is_unwound(call, tmp_path):
    path = tmp_path / "note"
    assert isinstance(outcome(call("waits", str(path))), SoftTimeLimitExceeded)
    assert path.read_text(encoding="utf-8") == "unwound"


def test_a_coroutine_that_blocks_the_loop_in_python_ends_and_the_next_one_runs(call):
    assert isinstance(outcome(call("blocks", 60)), TimeLimitExceeded)
    assert outcome(call("beside", 0.1)) == "done"


@pytest.mark.parametrize("pool", POOLS[:1], indirect=True)  # one that runs a task in its main thread hears nothing
@pytest.mark.parametrize("name", ["long", "long.async"])
def test_a_task_that_is_revoked_while_it_runs_ends_and_is_revoked(call, tmp_path, name):
    path = tmp_path / "note"
    result = call(name, str(path))
    until(path.exists)
    result.revoke(terminate=True)
    assert isinstance(outcome(result), TaskRevokedError)
    assert result.state == "REVOKED"
    assert outcome(call("quick", 2)) == 2


def test_limits_leave_no_trace_on_the_tasks_that_follow(call):
    results = [call("spins") for _ in range(3)] + [call("quick", at) for at in range(50)]
    assert [outcome(each) for each in results[3:]] == list(range(50))
    assert all(isinstance(outcome(each), SoftTimeLimitExceeded) for each in results[:3])


def test_every_message_is_settled(call, url):
    assert outcome(call("quick", 3)) == 3
    with Redis.from_url(url) as redis:
        until(lambda: not redis.keys("celeriac.inflight:*"))
        assert not redis.keys("celeriac.deliveries")
