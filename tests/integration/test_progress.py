from __future__ import annotations

import asyncio

import pytest
from tests.faults.harness.waiting import until

from celeriac import Progress, TaskState

WAIT = 20


@pytest.mark.proves("S001-11", "S000-37")
def test_progress_is_seen_in_order(registry):
    result = registry.process.delay([1, 2, 3], pause=0.4)
    seen: list[Progress] = []

    def watched() -> bool:
        progress = result.progress
        if progress is not None and progress not in seen:
            seen.append(progress)
        return result.state is TaskState.SUCCESS

    until(watched)
    assert seen == [Progress(1, 3, {}), Progress(2, 3, {}), Progress(3, 3, {})]
    assert [progress.percent for progress in seen] == [33, 66, 100]
    assert result.get(timeout=WAIT) == {"processed": 3}
    assert result.progress is None


@pytest.mark.proves("S001-11")
def test_the_stored_state_holds_current_and_total_alone(registry, shared):
    result = registry.process.delay([1, 2], pause=0.5)
    until(lambda: result.state is TaskState.PROGRESS)
    assert shared.app.AsyncResult(result.id).info == {"current": 1, "total": 2}
    assert result.get(timeout=WAIT) == {"processed": 2}


@pytest.mark.proves("S004-14")
def test_a_coroutine_reports_and_the_reader_computes_the_percent(registry):
    result = registry.report.delay()
    progress = until(lambda: result.progress)
    assert (progress.current, progress.total, progress.percent, progress.message) == (1, 4, 25, "Fetching")
    assert result.get(timeout=WAIT) == "ok"


def test_a_coroutine_watches(registry):
    async def main():
        result = await registry.process.adelay([1, 2])
        return await result.aget(timeout=WAIT)

    assert asyncio.run(main()) == {"processed": 2}
