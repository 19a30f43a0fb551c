"""Calls that no type checker lets pass: each marked line is an error, for mypy and for pyright, and no other line is.

Nothing here runs. ``test_checkers.py`` takes the marks off and asks both checkers; with them on, ``make lint`` is
clean, and complains of a mark that has become idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.typing.right_calls import Tasks, registry, token

from celeriac import CeleryPublisher, Priority, TaskController, chunked, create_celery_app, entry, every, gather, task
from delivery.tasks.registry import TasksRegistry

if TYPE_CHECKING:
    from uuid import UUID

    from celeriac import TaskContext

service = TasksRegistry(CeleryPublisher(create_celery_app()))


def arguments() -> None:
    registry.add.delay("x")  # type: ignore[arg-type]
    service.add.delay("x", 1)  # type: ignore[arg-type]
    registry.add.delay()  # type: ignore[call-arg]
    registry.add.delay(1, 2, 3)  # type: ignore[call-arg]
    registry.add.delay(1, z=2)  # type: ignore[call-arg]
    registry.ping.delay(1)  # type: ignore[call-arg]
    registry.fetch.delay("u")  # type: ignore[call-arg]
    registry.fetch.delay("u", token="geheim")  # type: ignore[arg-type]
    registry.sum.delay(1, "2")  # type: ignore[arg-type]
    registry.add.s("x")  # type: ignore[arg-type]
    registry.nothing.delay()  # type: ignore[attr-defined]


async def arguments_of_coroutines() -> None:
    await registry.add.adelay("x")  # type: ignore[arg-type]
    await registry.fetch.adelay("u")  # type: ignore[call-arg]


def options() -> None:
    registry.ping.apply_async(countdown="soon")  # type: ignore[arg-type]
    registry.ping.apply_async(priority=5)  # type: ignore[arg-type]
    registry.ping.apply_async(cuontdown=5)  # type: ignore[call-arg]
    registry.ping.s().set(priority="HIGH")  # type: ignore[arg-type]
    registry.ping.apply_async(priority=Priority.HIGH)


def results() -> None:
    text: str = registry.add.delay(1).get()  # type: ignore[assignment]
    registry.ping.delay().get()["answer"]  # type: ignore[misc]
    del text


def workflows() -> None:
    registry.add.s(1).then(registry.count)  # type: ignore[arg-type]
    registry.add.s(1).then(registry.ping)  # type: ignore[arg-type]
    registry.fetch.s("u", token=token).then(registry.parse, encoding=5)  # type: ignore[arg-type]
    registry.fetch.s("u", token=token).then(registry.parse, wrong="x")  # type: ignore[call-arg]
    gather(registry.add.s(1)).then(registry.count)  # type: ignore[arg-type]
    chunked(registry.total, ["a"], size=3)  # type: ignore[arg-type]
    registry.add.s(1).then(registry.add, 2)


def schedules() -> None:
    entry("sums", every(minutes=5), registry.add, "x")  # type: ignore[arg-type]
    entry("sums", every(minutes=5), registry.add)  # type: ignore[call-arg]
    entry("sums", every(minutes=5), registry.ping, 1)  # type: ignore[call-arg]
    entry("sums", every(minutes=5), registry.add, 1)


def unit_tests(context: TaskContext) -> None:
    Tasks(context).add("x")  # type: ignore[arg-type]
    Tasks(context).add(1)


class Mistaken(TaskController):
    @task(5)  # type: ignore[arg-type]
    def number(self) -> None: ...

    @task("odd", priority=5)  # type: ignore[arg-type]
    def odd(self) -> None: ...

    @task("stray", retires=3)  # type: ignore[call-arg]
    def stray(self) -> None: ...


def places(context: TaskContext) -> None:
    context.iterate(numbers, str)  # type: ignore[misc]
    context.iterate(numbers, identity)  # type: ignore[misc]
    context.iterate([1, 2], int)  # type: ignore[arg-type]
    context.iterate(numbers, int)


def numbers(after: int | None) -> list[int]:
    return [after or 0]


def identity(number: int) -> UUID:
    raise LookupError(number)
