"""Loops that go on elsewhere: workers are told to end, and killed, in their midst."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from tests.faults.harness.census import Census
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.resumable import Contexts, Walks, items

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.tasks.places import AFTER_SUCCESS
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.resumable"
TASKS = ["walk", "walk_async"]
OTHERS = ["prefork", "threads", "solo"]
MOST = 200
SECONDS = 0.01


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def redis(url: str) -> Generator[Redis]:
    with Redis.from_url(url) as redis:
        redis.flushdb()
        yield redis


@pytest.fixture
def app(url: str, redis: Redis) -> Generator[Celery]:
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))) as app:
        Walks.install(app, Contexts())
        yield app


@pytest.fixture
def walks(app: Celery) -> Walks:
    return Walks(CeleryPublisher(app))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items"


@pytest.fixture
def start(url: str, redis: Redis) -> Generator[Callable[..., WorkerProcess]]:
    with ExitStack() as stack:

        def _start(pool: Any = "lane", concurrency: int = 1, **env: str) -> WorkerProcess:
            env = {"CELERY_BROKER_LEASE": "2", **env}
            return stack.enter_context(WorkerProcess(APP, redis_url=url, pool=pool, concurrency=concurrency, env=env))

        yield _start


def place_of(redis: Redis) -> Any:
    """What is saved of the only task that there is."""
    (key,) = redis.keys("celeriac.iteration:*")
    return redis.hget(key, "state")


def handed_on(worker: WorkerProcess, path: Path, how: signal.Signals = signal.SIGTERM) -> int:
    """Tell the worker to end, in the midst; how many items it left to others."""
    until(lambda: len(items(path)) > 5)
    os.kill(worker.pid, how)
    until(lambda: worker.returncode is not None, timeout=20)
    return MOST - len(items(path))


@pytest.mark.parametrize(
    "form", forms([f"lane {task}" for task in TASKS], wide=[f"{pool} {task}" for pool in OTHERS for task in TASKS])
)
def test_a_worker_that_is_told_to_end_hands_the_loop_on_and_nothing_is_repeated(
    start: Any, walks: Walks, redis: Redis, path: Path, form: str
):
    pool, task = form.split()
    worker = start(pool)
    result = getattr(walks, task).delay(str(path), MOST, SECONDS)
    assert handed_on(worker, path) > 0
    assert Census.of(redis).owned == {str(path)}
    assert not redis.exists("celeriac.deliveries")  # uncounted
    start(pool)
    done = result.get(timeout=30)
    assert (done["done"], done["resumed"]) == (MOST, True)
    assert items(path) == list(range(1, MOST + 1))


@pytest.mark.parametrize("pool", forms(["lane"], wide=OTHERS))
def test_a_soft_shutdown_hands_the_loop_on_and_waits_for_nothing(
    start: Any, walks: Walks, redis: Redis, path: Path, pool: str
):
    worker = start(pool, CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT="15")
    walks.walk.delay(str(path), MOST, SECONDS)
    left = handed_on(worker, path, signal.SIGQUIT)
    assert left > 0
    place = json.loads(place_of(redis))
    assert place["loops"][""]["at"] == MOST - left  # to the item
    assert Census.of(redis).owned == {str(path)}


def test_a_child_that_the_pool_does_without_hands_on_what_it_runs(start: Any, walks: Walks, app: Celery, path: Path):
    worker = start(concurrency=2)
    results = [walks.walk.delay(str(path.with_suffix(name)), MOST, SECONDS) for name in (".a", ".b")]
    until(lambda: all(len(items(path.with_suffix(name))) > 5 for name in (".a", ".b")))
    app.control.pool_shrink(1, destination=[worker.node], reply=True, timeout=10)
    done = [result.get(timeout=30) for result in results]
    assert sorted(each["resumed"] for each in done) == [False, True]
    assert all(items(path.with_suffix(name)) == list(range(1, MOST + 1)) for name in (".a", ".b"))


def test_a_retry_goes_on_with_the_item_that_failed(start: Any, walks: Walks, redis: Redis, path: Path):
    start()
    result = walks.walk_flaky.delay(str(path), 20, 11)
    assert result.get(timeout=20) == 20
    assert items(path) == list(range(1, 21))
    assert 0 < redis.ttl(f"celeriac.iteration:{result.id}") <= AFTER_SUCCESS


def test_a_loop_may_take_longer_than_the_time_limit_of_an_attempt(start: Any, walks: Walks, path: Path):
    start()
    result = walks.walk_limited.delay(str(path), MOST, 0.02)
    assert result.get(timeout=60) > 1
    done = items(path)
    assert sorted(set(done)) == list(range(1, MOST + 1))
    assert len(done) <= MOST + result.get()  # the limit may strike between an item's line and the next item
