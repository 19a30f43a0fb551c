"""P7: a loop that can be resumed, and a worker that is killed, or frozen, in its midst."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.faults.harness.census import Census
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE, RETURN
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.resumable import Contexts, Walks, items

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.testing.worker import WorkerProcess

MOST = 200
SECONDS = 0.01
SAVE_EVERY = 0.1
POOLS = forms(["lane"], wide=["prefork", "threads", "solo"])


@pytest.fixture
def walks(server) -> Generator[Walks]:
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": server.url}))) as app:
        Walks.install(app, Contexts())
        yield Walks(CeleryPublisher(app))


@pytest.fixture
def start(server, pool) -> Generator[Callable[[], WorkerProcess]]:
    """Starts workers."""
    env = {"CELERY_BROKER_LEASE": str(LEASE)}
    with ExitStack() as stack:
        yield lambda: stack.enter_context(
            WorkerProcess("tests.kit.resumable", redis_url=server.url, pool=pool, concurrency=1, env=env)
        )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items"


def place(server) -> int:
    """The last number that is known to be done."""
    for key in server.client.keys("celeriac.iteration:*"):
        if state := server.client.hget(key, "state"):
            return int(json.loads(state)["loops"][""]["at"])
    return 0


@pytest.mark.parametrize("pool", POOLS)
def test_after_kill_9_a_loop_goes_on_from_the_place_that_was_saved_last(server, walks, start: Any, path):
    worker = start()
    result = walks.walk.delay(str(path), MOST, SECONDS, save_every=SAVE_EVERY)
    until(lambda: place(server))
    worker.kill()
    before, saved = items(path), place(server)
    assert 0 < saved <= len(before) < MOST
    start()
    assert result.get(timeout=RETURN + 30)["done"] == MOST
    assert items(path) == [*before, *range(saved + 1, MOST + 1)]


@pytest.mark.parametrize("pool", POOLS)
def test_a_place_that_is_saved_after_each_item_costs_one_at_most(server, walks, start: Any, path):
    worker = start()
    result = walks.walk.delay(str(path), MOST, SECONDS, save_every=0)
    until(lambda: place(server) > 5)
    worker.kill()
    start()
    result.get(timeout=RETURN + 30)
    done = items(path)
    assert sorted(set(done)) == list(range(1, MOST + 1))
    assert len(done) <= MOST + 1


@pytest.mark.parametrize("pool", POOLS[:3])
def test_a_worker_that_was_frozen_ends_its_loop_where_another_took_over(server, walks, start: Any, path):
    frozen = start()
    result = walks.walk.delay(str(path), MOST, SECONDS, save_every=SAVE_EVERY)
    until(lambda: place(server))
    os.killpg(frozen.pid, signal.SIGSTOP)
    before = len(items(path))
    start()
    until(lambda: len(items(path)) > before + 20, timeout=RETURN + 20)
    os.killpg(frozen.pid, signal.SIGCONT)
    assert result.get(timeout=40)["done"] == MOST
    assert frozen.wait_for("runs elsewhere by now, and ends here", timeout=20)
    assert set(items(path)) == set(range(1, MOST + 1))
    until(lambda: not Census.of(server.client).owned)
