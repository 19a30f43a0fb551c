"""Nothing that was opened before the fork is used after it."""

from __future__ import annotations

import pytest
from tests.faults.harness.waiting import until

pytestmark = pytest.mark.xdist_group("forking")
WAIT = 20


def test_what_the_parent_used_works_in_every_child(alone, start):
    start("tests.kit.used_before_fork", pool="prefork", concurrency=2)
    registry = alone.registry
    children = set()

    def both_children_answered() -> bool:
        for found in [registry.where.delay() for _ in range(4)]:
            children.add(found.get(timeout=WAIT)["process"])
        return len(children) == 2

    until(both_children_answered)
    spawned = [registry.spawns.delay() for _ in range(6)] + [registry.spawns_async.delay() for _ in range(6)]
    for result in spawned:
        task_id = result.get(timeout=WAIT)
        assert alone.app.AsyncResult(task_id).get(timeout=WAIT) == {"result": "pong"}
    loops = [registry.loop.delay().get(timeout=WAIT) for _ in range(8)]
    assert {loop["process"] for loop in loops} <= children
    by_process: dict[int, set[int]] = {}
    for loop in loops:
        by_process.setdefault(loop["process"], set()).add(loop["loop"])
    assert all(len(ids) == 1 for ids in by_process.values())


@pytest.mark.parametrize("pool", ["prefork"], indirect=True)
def test_each_child_has_one_loop_thread_of_its_own(registry, worker):
    processes = {registry.loop.delay().get(timeout=WAIT)["process"] for _ in range(8)}
    assert worker.pid not in processes
