"""``celery --app=tests.kit.deadlines worker``: tasks that have to end by a moment."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from tests.kit.service import Scope

import celeriac
from celeriac import CeleryPublisher, Retry, TaskContext, TaskController, create_celery_app, task

QUEUE = "deadlines"
SECONDS = 3.0


class DeadlinesController(TaskController):
    @task("deadlines.tells", queue=QUEUE, deadline=60)
    def tells(self) -> float:
        deadline = TaskContext.current().deadline
        return deadline.timestamp() if deadline else 0.0

    @task("deadlines.sleeps", queue=QUEUE, deadline=SECONDS)
    def sleeps(self) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:  # in steps, as a thread can be interrupted between them alone
            time.sleep(0.02)

    @task("deadlines.awaits", queue=QUEUE, deadline=SECONDS)
    async def awaits(self) -> None:
        await asyncio.sleep(30)

    @task("deadlines.fails", queue=QUEUE, deadline=SECONDS, retry=Retry(on=LookupError, max_retries=50, backoff=0.8))
    def fails(self) -> None:
        msg = f"attempt {TaskContext.current().attempt}"
        raise LookupError(msg)


class Registry(celeriac.TasksRegistry):
    tells = DeadlinesController.tells
    sleeps = DeadlinesController.sleeps
    awaits = DeadlinesController.awaits
    fails = DeadlinesController.fails


def made(**options: Any) -> tuple[Any, Registry]:
    app = create_celery_app(celeriac.CeleryAppConfig.from_mapping(options)) if options else create_celery_app()
    Registry.install(app, Scope([]))
    return app, Registry(CeleryPublisher(app))


if os.environ.get("REDIS_URL"):
    app, registry = made()
