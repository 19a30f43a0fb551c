"""``make demo``: what can be done with the registry, shown on a worker that really runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from celery import Celery
from pydantic import JsonValue
from redis import Redis

from celeriac import TaskResult, TaskState, chunked, gather
from celeriac.exceptions import InvalidArguments
from celeriac.history.deadletters import DeadLetters
from core.data.ports import TableReader
from delivery.demo.places import ORDERS
from delivery.demo.saying import PATIENCE, show
from delivery.demo.use_cases import UseCases
from delivery.tasks.registry import TasksRegistry
from ioc.container import get_container

DAYS = 40
"""How often the orders are worked through: once is over before anybody can ask how far it is."""


def main() -> None:
    """Walk through the registry and say what is seen."""
    container = get_container()
    registry = container.resolve(TasksRegistry)
    cases = UseCases(registry, container, container.resolve(TableReader), container.resolve(Redis))
    steps: list[Callable[[], None]] = [
        *(partial(step, registry) for step in (call, compute, refuse, follow_progress, chain, chunk, retry, bury)),
        *(cases.welcome, cases.export, cases.summarise, cases.index),
    ]
    for number, step in enumerate(steps, start=1):
        print(f"\n{number}. {getattr(step, 'func', step).__doc__}")
        step()
    print("\nThat was the tour. Read src/delivery/tasks/registry.py next: one line for each task.")


def call(registry: TasksRegistry) -> None:
    """A call goes to the worker, its result comes back."""
    show("registry.ping.delay().get()", registry.ping.delay().get(timeout=PATIENCE))


def compute(registry: TasksRegistry) -> None:
    """Arguments and results have types."""
    show("registry.add.delay(2, 3).get()", registry.add.delay(2, 3).get(timeout=PATIENCE))


def refuse(registry: TasksRegistry) -> None:
    """Wrong arguments are refused before anything is sent."""
    try:
        registry.add.delay("two", 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    except InvalidArguments as error:
        show('registry.add.delay("two", 3)', f"{type(error).__name__}: {error}")


def follow_progress(registry: TasksRegistry) -> None:
    """A long task says how far it is."""
    orders: list[JsonValue] = [{**row} for row in get_container().resolve(TableReader).read(ORDERS)]
    result = registry.process_data.delay(orders * DAYS)
    shown = -1
    while not result.ready():
        progress = result.progress
        if progress is not None and progress.percent >= shown + 10:
            shown = progress.percent
            print(f"   {progress.current:>4} of {progress.total} rows, {shown} %")
    show("registry.process_data.delay(rows).get()", result.get(timeout=PATIENCE))


def chain(registry: TasksRegistry) -> None:
    """Steps make a workflow: two sums side by side, then the sum of both."""
    workflow = gather(registry.add.s(1, 2), registry.add.s(3, 4)).then(registry.total)
    show("gather(add.s(1, 2), add.s(3, 4)).then(total)", workflow.delay().get(timeout=PATIENCE))


def chunk(registry: TasksRegistry) -> None:
    """Many items are split into chunks that run side by side."""
    workflow = chunked(registry.total, range(1, 101), size=25)
    show("chunked(total, range(1, 101), size=25)", workflow.delay().get(timeout=PATIENCE))


def retry(registry: TasksRegistry) -> None:
    """A task that fails twice is tried again, each time after a longer wait."""
    result = registry.flaky.delay(2)
    for state in states(result):
        print(f"   {state}")
    show("registry.flaky.delay(2).get(), the attempt that worked", result.get(timeout=PATIENCE))


def bury(_: TasksRegistry) -> None:
    """A message that no worker can run is kept, with the reason, until somebody decides."""
    app = get_container().resolve(Celery)
    letters, sent = DeadLetters(app), app.send_task("no.such.task")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for letter in letters.list(task="no.such.task").letters:
            if letter.task_id == sent.id:
                show('app.send_task("no.such.task")', f"{letter.reason}: {letter.detail}")
                letters.drop(letter.id)
                return
        time.sleep(0.1)


def states(result: TaskResult[int]) -> list[TaskState]:
    """The states that a task goes through until it has ended."""
    seen = [result.state]
    while not result.ready():
        if result.state != seen[-1]:
            seen.append(result.state)
        time.sleep(0.02)
    return [*seen, result.state]


if __name__ == "__main__":
    main()
