"""The last of many calls: it runs once, when it has been quiet, and the others are told."""

from __future__ import annotations

import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis
from tests.faults.harness.forms import forms
from tests.kit.clients import client
from tests.kit.holding import Diary, Registry, registry_of

from celeriac import CeleryAppConfig, TaskResult, create_celery_app
from celeriac.exceptions import TaskRevoked
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.holding"
TIMEOUT = 30
QUIET, AT_MOST = 1.0, 3.0
"""What the task says."""


@pytest.fixture(scope="module", params=forms(["lane"], ["threads"]))
def stage(request: pytest.FixtureRequest) -> Generator[tuple[Registry, Diary, Any]]:
    with redis_server() as url:
        app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))
        with (
            Redis.from_url(url) as redis,
            client(app),
            WorkerProcess(APP, redis_url=url, pool=request.param, concurrency=2),
        ):
            yield registry_of(app), Diary(redis), app


@pytest.fixture
def key() -> str:
    return uuid4().hex


def test_of_a_burst_the_last_call_runs_and_the_others_hear_by_whom_they_were_superseded(stage, key):
    registry, diary, _ = stage
    calls = [registry.debounce.delay(key, number) for number in range(10)]
    assert len({call.id for call in calls}) == 10
    assert calls[-1].get(timeout=TIMEOUT) == 9
    for call, following in pairwise(calls):
        with pytest.raises(TaskRevoked, match=f"superseded by {following.id}"):
            call.get(timeout=TIMEOUT)
    assert diary.begun(key) == [calls[-1].id]


def test_keys_do_not_meet(stage, key):
    registry, diary, _ = stage
    one, other = registry.debounce.delay(key, 1), registry.debounce.delay(key + "-other", 2)
    assert [one.get(timeout=TIMEOUT), other.get(timeout=TIMEOUT)] == [1, 2]
    assert diary.begun(key) == [one.id]


def test_it_does_not_run_before_it_has_been_quiet(stage, key):
    registry, _, _ = stage
    asked = time.monotonic()
    registry.debounce.delay(key, 1)
    assert registry.debounce.delay(key, 2).get(timeout=TIMEOUT) == 2
    assert time.monotonic() - asked >= QUIET * 0.95


def test_it_does_not_wait_for_ever_for_quiet(stage, key):
    """Calls go on for much longer than at_most: several run meanwhile, each the last of its window."""
    registry, diary, _ = stage
    end = time.monotonic() + 2.5 * AT_MOST
    calls: list[TaskResult[int]] = []
    while time.monotonic() < end:
        calls.append(registry.debounce.delay(key, len(calls)))
        time.sleep(0.1)
    assert calls[-1].get(timeout=TIMEOUT) == len(calls) - 1
    begun = diary.begun(key)
    assert 3 <= len(begun) < len(calls) / 3
    assert begun == [call.id for call in calls if call.id in begun], "an older call ran after a newer one"


def test_after_it_has_run_another_window_opens(stage, key):
    registry, diary, _ = stage
    first = registry.debounce.delay(key, 1)
    assert first.get(timeout=TIMEOUT) == 1
    second = registry.debounce.delay(key, 2)
    assert second.get(timeout=TIMEOUT) == 2
    assert diary.begun(key) == [first.id, second.id]


def test_who_asks_for_later_gets_later(stage, key):
    registry, _, _ = stage
    asked = datetime.now(UTC)
    result = registry.debounce.apply_async((key, 1), eta=asked + timedelta(seconds=1.6))
    assert result.get(timeout=TIMEOUT) == 1
    assert datetime.now(UTC) - asked >= timedelta(seconds=1.5)


def test_the_last_call_can_be_revoked_and_nobody_comes_back_for_it(stage, key):
    registry, diary, _ = stage
    first, last = registry.debounce.delay(key, 1), registry.debounce.delay(key, 2)
    last.revoke()
    for call in (first, last):
        with pytest.raises(TaskRevoked):
            call.get(timeout=TIMEOUT)
    third = registry.debounce.delay(key, 3)
    assert third.get(timeout=TIMEOUT) == 3
    assert diary.begun(key) == [third.id]


def test_what_comes_by_another_way_is_not_put_off(stage, key):
    registry, diary, app = stage
    foreign = app.send_task("hold.debounce", (key, 7))
    assert foreign.get(timeout=TIMEOUT) == 7
    assert diary.begun(key) == [foreign.id]
    del registry
