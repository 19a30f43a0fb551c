"""Tasks that raise what would end a worker: they fail, and the worker runs the next one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.faults.harness.waiting import until
from tests.kit.stage import Stage, stages

from celeriac.exceptions import TaskAborted

WAIT = 15
STAGES = stages("redis-lane", "redis-prefork", "redis-threads", "redis-solo", "rabbitmq-prefork")
KINDS = ["MemoryError", "SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"]
pytestmark = pytest.mark.parametrize("stage", STAGES, indirect=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_task_that_would_end_its_worker_fails_and_the_worker_lives_on(stage: Stage, kind: str) -> None:
    before = stage.worker.returncode
    result = stage.t.raises.delay(kind)
    with pytest.raises(TaskAborted, match=f"'c.raises' was ended by {kind}"):
        result.get(timeout=WAIT)
    assert result.state == "FAILURE"
    assert stage.t.same.delay(1).get(timeout=WAIT) == 1
    assert before is stage.worker.returncode is None


def test_endless_recursion_is_an_ordinary_failure(stage: Stage) -> None:
    result = stage.t.raises.delay("RecursionError")
    with pytest.raises(RecursionError, match="maximum recursion depth"):
        result.get(timeout=WAIT)
    assert stage.t.same.delay(1).get(timeout=WAIT) == 1


def test_the_process_that_ran_it_lives_on(stage: Stage) -> None:
    """No process is replaced: what would end it was never let out of the task."""
    processes = {stage.t.process.delay().get(timeout=WAIT) for _ in range(8)}
    for kind in KINDS:
        with pytest.raises(TaskAborted):
            stage.t.raises.delay(kind).get(timeout=WAIT)
    assert {stage.t.process.delay().get(timeout=WAIT) for _ in range(8)} <= processes | _running(stage)


def test_such_a_failure_is_seen_by_an_errback_and_ends_a_chord(stage: Stage) -> None:
    failed = stage.t.raises.delay("SystemExit")
    with pytest.raises(TaskAborted):
        failed.get(timeout=WAIT)
    result = stage.t.raises.apply_async(("MemoryError",), link_error=stage.t.old_errback.s())
    until(lambda: stage.noted(result.id) == ["old"])


def _running(stage: Stage) -> set[int]:
    told: dict[str, Any] = stage.app.control.inspect([stage.worker.node], timeout=5).stats() or {}
    pool = told.get(stage.worker.node, {}).get("pool", {})
    return set(pool.get("processes", ()))
