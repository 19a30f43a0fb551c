"""Coroutines of tasks that run in plain threads: one loop for all, and nothing left behind."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from celeriac.tasks.loop import run_coroutine

MANY = 100


async def where() -> asyncio.AbstractEventLoop:
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


@pytest.mark.proves("S002-15")
def test_a_coroutine_runs_to_its_end_from_code_that_knows_of_no_loop():
    async def add(x: int, y: int) -> int:
        await asyncio.sleep(0)
        return x + y

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError(17)

    assert run_coroutine(add(2, 3)) == 5
    with pytest.raises(LookupError, match="17"):
        run_coroutine(fail())


@pytest.mark.proves("S002-15")
def test_loops_do_not_pile_up():
    loop = run_coroutine(where())
    process = psutil.Process()
    before = (process.num_fds(), threading.active_count())
    assert {run_coroutine(where()) for _ in range(MANY)} == {loop}
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: run_coroutine(where()), range(MANY))) == {loop}
    assert process.num_fds() <= before[0]
    assert threading.active_count() <= before[1]


@pytest.mark.proves("S002-15")
def test_nothing_of_a_coroutine_that_failed_stays_on_the_loop():
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            raise LookupError

    loop = run_coroutine(where())
    with pytest.raises(ExceptionGroup):
        run_coroutine(fail())
    assert run_coroutine(where()) is loop
    assert not asyncio.all_tasks(loop)


def test_what_belongs_to_the_loop_can_be_used_by_the_next_coroutine():
    """As connections do: on a loop of its own, each task would meet "attached to a different loop"."""
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def put(number: int) -> None:
        await queue.put(number)

    async def waits() -> int:
        return await queue.get()

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(run_coroutine, waits()) for _ in range(4)]
        for number in range(4):
            run_coroutine(put(number))
        assert sorted(future.result(10) for future in waiting) == [0, 1, 2, 3]
