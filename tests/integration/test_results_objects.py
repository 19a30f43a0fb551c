"""Celery's own result objects over our backend: what they take, they still take."""

from __future__ import annotations

import gc
import operator
from collections.abc import Generator
from functools import partial
from typing import Any

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult, GroupResult, ResultSet
from tests.faults.harness.waiting import until
from tests.kit.results import app_on, group_of, in_thread, raw_of, watched

pytestmark = pytest.mark.xdist_group("results")


@pytest.fixture
def worker(server) -> Generator[Any]:
    """Stores results."""
    with app_on(server.url) as app:
        yield app.backend


@pytest.fixture
def app(server) -> Generator[Any]:
    """Waits for results."""
    with app_on(server.url) as app:
        yield app


def test_celerys_own_get_works_with_everything_that_it_takes(server, app, worker):
    result = raw_of(app)
    seen: list[Any] = []
    ticks: list[int] = []
    called: list[Any] = []
    with in_thread(
        lambda: result.get(
            timeout=20,
            interval=0.05,
            on_message=lambda meta: seen.append(meta["status"]),
            on_interval=lambda: ticks.append(1),
            callback=lambda task, value: called.append((task, value)),
        )
    ) as outcomes:
        until(lambda: watched(server) == 1)
        worker.store_result(result.id, None, "STARTED")
        until(lambda: "STARTED" in seen and ticks)
        worker.store_result(result.id, 5, "SUCCESS")
    assert (outcomes, seen, called) == ([5], ["STARTED", "SUCCESS"], [(result.id, 5)])
    failed = raw_of(app)
    worker.store_result(failed.id, KeyError("k"), "FAILURE", traceback="tb")
    assert isinstance(failed.get(timeout=5, propagate=False), KeyError)
    with pytest.raises(KeyError):
        AsyncResult(failed.id, app=app).get(timeout=5)
    with pytest.raises(CeleryTimeoutError):
        raw_of(app).get(timeout=0.05)


def test_callbacks_of_a_result_are_called_when_it_is_got(app, worker):
    result = raw_of(app)
    called: list[Any] = []
    result.then(lambda arrived: called.append(arrived.result))
    worker.store_result(result.id, 3, "SUCCESS")
    assert result.get(timeout=5) == 3
    assert called == [3]


def test_celerys_sets_give_members_as_they_end(server, app, worker):
    leaves = [raw_of(app) for _ in range(4)]
    several: Any = ResultSet(leaves, app=app)
    order: list[str] = []
    seen: list[Any] = []
    iterate = several.iter_native(timeout=20, on_message=lambda meta: seen.append(meta["status"]))
    with in_thread(lambda: order.extend(task for task, _ in iterate)):
        until(lambda: watched(server) == 4)
        for number in (2, 0, 3, 1):
            worker.store_result(leaves[number].id, number, "SUCCESS")
            until(partial(operator.contains, order, leaves[number].id))
    assert order == [leaves[number].id for number in (2, 0, 3, 1)]
    assert seen == ["SUCCESS"] * 4
    assert several.get(timeout=5) == [0, 1, 2, 3]
    assert ResultSet([raw_of(app, leaf.id) for leaf in leaves], app=app).join(timeout=5) == [0, 1, 2, 3]
    got: list[Any] = []
    fresh = ResultSet([raw_of(app, leaf.id) for leaf in leaves], app=app)
    assert fresh.get(timeout=5, callback=lambda task, value: got.append(value)) is None
    assert sorted(got) == [0, 1, 2, 3]
    with pytest.raises(CeleryTimeoutError):
        ResultSet([leaves[0], raw_of(app)], app=app).get(timeout=0.1)


def test_nested_groups_join_and_survive_being_saved(server, app, worker):
    leaves = [raw_of(app) for _ in range(4)]
    inner, _ = group_of(app, *leaves[2:])
    outer, _ = group_of(app, *leaves[:2], inner)
    outer.save()
    for number, leaf in enumerate(leaves):
        worker.store_result(leaf.id, number, "SUCCESS")
    restored = GroupResult.restore(outer.id, app=app)
    assert restored == outer
    assert restored.get(timeout=5) == [0, 1, [2, 3]]
    assert restored.completed_count() == 3
    outer.delete()
    app.backend._cache.clear()
    assert GroupResult.restore(outer.id, app=app) is None


def test_result_objects_leave_without_a_word(server, app):
    made = [raw_of(app) for _ in range(3)]
    with pytest.raises(CeleryTimeoutError):
        ResultSet(made, app=app).get(timeout=0.05)
    server.client.config_resetstat()
    del made
    gc.collect()
    stats = server.client.info("commandstats")
    assert {name for name in stats if "subscribe" in name} == set()
    server.kill()
    AsyncResult("x", app=app).then(print)
    gc.collect()
