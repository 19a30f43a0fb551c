"""``celery --app=tests.kit.resident worker``: tasks that have to be ended without ending a process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from tests.kit.service import Container

from celeriac import Limits, Retry, TaskController, create_celery_app, task
from celeriac.tasks.execution import register_task

app = create_celery_app()

SHORT = Limits(soft=1, hard=2)
HARD = Limits(soft=None, hard=1)


def spin(seconds: float = 60) -> None:
    """Steps in Python all the while: what a thread can be interrupted between."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def note(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="utf-8")


@asynccontextmanager
async def noted(path: str) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        note(path, "unwound")


class Resident(TaskController):
    @task("spins", limits=SHORT)
    def spins(self) -> None:
        spin()

    @task("sleeps", limits=SHORT)
    def sleeps(self, seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    @task("tidies", limits=SHORT)
    def tidies(self) -> str:
        try:
            spin()
        except SoftTimeLimitExceeded:
            return "tidy"
        return "never"

    @task("ignores.soft", limits=SHORT)
    def ignores_soft(self) -> None:
        while True:
            with suppress(Exception):
                spin()

    @task("hard", limits=HARD, retry=Retry(on=Exception, max_retries=3))
    def hard(self) -> None:
        spin()

    @task("waits", limits=SHORT)
    async def waits(self, path: str) -> None:
        async with noted(path):
            await asyncio.sleep(60)

    @task("long")
    def long(self, path: str) -> None:
        note(path, "begun")
        spin()

    @task("long.async")
    async def long_async(self, path: str) -> None:
        note(path, "begun")
        await asyncio.sleep(60)

    @task("blocks", limits=SHORT)
    async def blocks(self, seconds: float) -> None:
        spin(seconds)

    @task("blocks.in_c", limits=SHORT)
    async def blocks_in_c(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251  that is what it is for

    @task("beside", limits=Limits(soft=30, hard=40))
    async def beside(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    @task("quick")
    def quick(self, value: Any = None) -> Any:
        return value


for _definition in vars(Resident).values():
    if hasattr(_definition, "policy"):
        register_task(app, _definition, Container())
