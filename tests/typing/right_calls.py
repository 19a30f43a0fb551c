"""What type checkers see of a registry. Nothing here runs: ``assert_type`` is the test, and the checkers run it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, assert_type
from uuid import UUID

from pydantic import BaseModel, SecretStr
from typing_extensions import TypedDict

import celeriac
from celeriac import (
    Arguments,
    BulkReport,
    Priority,
    Progress,
    Retry,
    ScheduleEntry,
    Step,
    TaskContext,
    TaskController,
    TaskDefinition,
    TaskHandle,
    TaskResult,
    TaskState,
    chunked,
    crontab,
    entry,
    every,
    gather,
    linear,
    task,
)
from celeriac.testing.recording import RecordingPublisher


class Pong(TypedDict):
    result: Literal["pong"]


class Page(BaseModel):
    url: str
    at: datetime


class Tasks(TaskController):
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task("ping")
    def ping(self) -> Pong:
        return {"result": "pong"}

    @task("add", queue="math", priority=Priority.HIGH, retry=Retry(on=OSError, backoff=linear(60)))
    def add(self, x: int, y: int = 0) -> int:
        return x + y

    @task("fetch")
    async def fetch(self, url: str, *, token: SecretStr) -> Page:
        raise NotImplementedError

    @task("parse")
    def parse(self, page: Page, encoding: str = "utf8") -> list[str]:
        return [page.url, encoding]

    @task("count")
    def count(self, words: list[str]) -> int:
        return len(words)

    @task("total")
    def total(self, numbers: list[int]) -> int:
        return sum(numbers)

    # With keywords of any name, mypy wants a self that none of them can mean.
    @task("sum")
    def sum(self, /, *numbers: int, **names: UUID) -> None: ...


class Registry(celeriac.TasksRegistry):
    ping = Tasks.ping
    add = Tasks.add
    fetch = Tasks.fetch
    parse = Tasks.parse
    count = Tasks.count
    total = Tasks.total
    sum = Tasks.sum


registry = Registry(RecordingPublisher())
token = SecretStr("")


def three_sights_of_a_task(controller: Tasks) -> None:
    assert_type(Tasks.ping, TaskDefinition[[], Pong, Callable[[], Pong]])
    assert_type(registry.ping, TaskHandle[[], Pong])
    assert_type(controller.add(1), int)


async def a_coroutine_stays_one(controller: Tasks) -> None:
    assert_type(await controller.fetch("u", token=token), Page)


def calls() -> None:
    assert_type(registry.ping.delay(), TaskResult[Pong])
    assert_type(registry.ping.delay().get(timeout=10), Pong)
    assert_type(registry.ping.delay().get()["result"], Literal["pong"])
    assert_type(registry.add.delay(2, 3).get(), int)
    assert_type(registry.add.delay(2, y=3).get(), int)
    assert_type(registry.add.delay(x=2).get(), int)
    assert_type(registry.fetch.delay("u", token=token).get(), Page)
    assert_type(registry.sum.delay(1, 2, name=UUID(int=1)).get(), None)
    assert_type(registry.add.apply_async((1, 2), {}, countdown=5, priority=Priority.LOW).get(), int)
    assert_type(registry["add"], TaskHandle[..., Any])


def many_calls() -> None:
    report = registry.add.enqueue_many([(1,), {"x": 1, "y": 2}, Arguments((1,), {"y": 2})], countdown=5)
    assert_type(report, BulkReport[int])
    assert_type([result.get() for result in report.results()], list[int])
    assert_type(registry.ping.enqueue_many(() for _ in range(10)), BulkReport[Pong])


async def many_calls_of_coroutines() -> None:
    assert_type(await registry.add.aenqueue_many([(1,)], batch=10), BulkReport[int])


async def calls_of_coroutines() -> None:
    result = await registry.fetch.adelay("u", token=token)
    assert_type(result, TaskResult[Page])
    assert_type(await result.aget(timeout=10), Page)


def takes_any_result(result: TaskResult[object]) -> None:
    assert_type(result.get(), object)


def results() -> None:
    result = registry.add.delay(2, 3)
    assert_type(result.id, str)
    assert_type(result.state, TaskState)
    assert_type(result.progress, Progress | None)
    takes_any_result(result)


def workflows() -> None:
    assert_type(registry.fetch.s("u", token=token), Step[Page])
    chain = registry.fetch.s("u", token=token).then(registry.parse, encoding="ascii").then(registry.count)
    assert_type(chain, Step[int])
    assert_type(chain.delay().get(), int)
    assert_type(gather(registry.add.s(1), registry.add.s(2)), Step[list[int]])
    assert_type(gather(registry.add.s(1), registry.add.s(2)).then(registry.total), Step[int])
    assert_type(chunked(registry.total, range(10), size=3), Step[list[int]])
    assert_type(chunked(registry.total, [1, 2], size=3).then(registry.total).delay().get(), int)
    assert_type(registry.add.s(1).set(countdown=5), Step[int])


async def workflows_of_coroutines() -> None:
    assert_type(await gather(registry.add.s(1)).adelay(), TaskResult[list[int]])


def schedules() -> None:
    assert_type(entry("sums", every(minutes=5), registry.add, 1, y=2), ScheduleEntry)
    assert_type(entry("pings", crontab(hour=1, minute=0), registry.ping), ScheduleEntry)


def places(context: TaskContext) -> None:
    rows = context.iterate(rows_after, lambda row: row["id"])
    assert_type(rows.done, int)
    for row in rows:
        assert_type(row, dict[str, int])
    for again in context.iterate(rows_after, lambda row: row["id"], name="again", save_every=0):
        assert_type(again, dict[str, int])


async def places_of_coroutines(context: TaskContext) -> None:
    async for row in context.aiterate(rows_after, lambda row: row["id"]):
        assert_type(row, dict[str, int])


def rows_after(after: int | None) -> list[dict[str, int]]:
    return [{"id": after or 0}]
