"""``celery --app=tests.kit.resumable worker``: tasks whose loops can be resumed. Each item is a line in a file."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from tests.kit.service import append

import celeriac
from celeriac import Limits, Retry, TaskContext, TaskController, create_celery_app, task


class RefusedError(Exception):
    """What the tasks here fail with."""


def numbers(most: int) -> Callable[[int | None], Iterable[int]]:
    """A source: 1 and up to ``most``."""
    return lambda after: range((after or 0) + 1, most + 1)


def itself(number: int) -> int:
    return number


def items(path: Path) -> list[int]:
    """What was written down so far."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


class WalkController(TaskController):
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    def note(self, path: str, text: str) -> None:
        append(Path(path), text)

    @task("walk")
    def walk(self, path: str, most: int, seconds: float = 0.0, save_every: float = 1.0) -> dict[str, Any]:
        """Write down each number, and how many there were."""
        loop = self.context.iterate(numbers(most), itself, save_every=save_every)
        here = 0
        for number in loop:
            time.sleep(seconds)
            self.note(path, f"{number}")
            here += 1
        return {"done": loop.done, "here": here, "resumed": loop.resumed, "process": os.getpid()}

    @task("walk.async")
    async def walk_async(self, path: str, most: int, seconds: float = 0.0) -> dict[str, Any]:
        async def source(after: int | None) -> AsyncIterator[int]:
            for number in numbers(most)(after):
                await asyncio.sleep(0)
                yield number

        loop = self.context.aiterate(source, itself)
        async for number in loop:
            await asyncio.sleep(seconds)
            self.note(path, f"{number}")
        return {"done": loop.done, "resumed": loop.resumed}

    @task("walk.flaky", retry=Retry(on=RefusedError, max_retries=2, backoff=0.1))
    def walk_flaky(self, path: str, most: int, refused: int) -> int:
        """Fail at one number, the first time."""
        loop = self.context.iterate(numbers(most), itself, save_every=3600)
        for number in loop:
            if number == refused and self.context.attempt == 1:
                raise RefusedError(number)
            self.note(path, f"{number}")
        return loop.done

    @task(
        "walk.limited",
        limits=Limits(soft=1, hard=30),
        retry=Retry(on=SoftTimeLimitExceeded, max_retries=20, backoff=0.1),
    )
    def walk_limited(self, path: str, most: int, seconds: float) -> int:
        """Take longer than an attempt may."""
        loop = self.context.iterate(numbers(most), itself, save_every=3600)
        for number in loop:
            time.sleep(seconds)
            self.note(path, f"{number}")
        return self.context.attempt

    @task("walk.nested", retry=Retry(on=RefusedError, max_retries=2, backoff=0.1))
    def walk_nested(self, path: str, refused: str = "") -> int:
        """Two loops, the second with one inside, and a failure at one of their items."""
        for letter in self.context.iterate(lambda after: "abc"["abc".find(after or " ") + 1 :], str, name="letters"):
            self.reach(path, letter, refused)
        outer = self.context.iterate(numbers(2), itself, name="outer")
        for number in outer:
            for inner in self.context.iterate(numbers(3), itself, name="inner"):
                self.reach(path, f"{number}.{inner}", refused)
        return outer.done

    def reach(self, path: str, item: str, refused: str) -> None:
        if item == refused and self.context.attempt == 1:
            raise RefusedError(item)
        self.note(path, item)


class Walks(celeriac.TasksRegistry):
    walk = WalkController.walk
    walk_async = WalkController.walk_async
    walk_flaky = WalkController.walk_flaky
    walk_limited = WalkController.walk_limited
    walk_nested = WalkController.walk_nested


class Contexts:
    """Gives controllers the task that runs."""

    def resolve(self, service: type[Any], /) -> Any:
        return service(TaskContext.current())


def _install() -> Any:
    made = create_celery_app()
    Walks.install(made, Contexts())
    return made


if "REDIS_URL" in os.environ:
    app = _install()
