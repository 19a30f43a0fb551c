"""``celery --app=tests.kit.metered worker``: tasks that may start only so often."""

from __future__ import annotations

import os
import time

from tests.kit.service import Scope

import celeriac
from celeriac import CeleryPublisher, RateLimit, TaskContext, TaskController, create_celery_app, task


class MeteredController(TaskController):
    @task("metered.together", queue="metered", rate_limit=RateLimit("5/s"))
    def together(self) -> tuple[float, int, int]:
        return time.time(), os.getpid(), TaskContext.current().attempt

    @task("metered.each", queue="metered", rate_limit="10/m")
    def each(self) -> None: ...

    @task("metered.keyed", queue="metered", rate_limit=RateLimit("4/s", key="user.id"))
    def keyed(self, user: dict[str, str]) -> tuple[str, float]:
        return user["id"], time.time()


class Registry(celeriac.TasksRegistry):
    together = MeteredController.together
    each = MeteredController.each
    keyed = MeteredController.keyed


app = create_celery_app()
Registry.install(app, Scope([]))
registry = Registry(CeleryPublisher(app))
