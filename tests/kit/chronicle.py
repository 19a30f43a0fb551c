"""``celery --app=tests.kit.chronicle worker``: an app that keeps a history, of tasks that end in every way."""

from __future__ import annotations

import os
import time
from typing import Any

from pydantic import SecretStr
from tests.kit.service import Container

import celeriac
from celeriac import CeleryAppConfig, CeleryPublisher, Concurrency, TaskController, create_celery_app, task

APP_NAME = "tests.kit.chronicle"
app = create_celery_app(CeleryAppConfig.from_mapping({"history_enabled": True, "task_max_deliveries": 2}))


class ChronicleController(TaskController):
    @task("login", tags=("billing", "slow"))
    def login(self, user: str, password: SecretStr) -> SecretStr:
        return SecretStr(f"token of {user}, {len(password.get_secret_value())}")

    @task("quiet", ignore_result=True)
    def quiet(self, seconds: float = 0) -> None:
        time.sleep(seconds)

    @task("alone", concurrency=Concurrency(1))
    def alone(self, seconds: float) -> None:
        time.sleep(seconds)


class Chronicle(celeriac.TasksRegistry):
    login = ChronicleController.login
    quiet = ChronicleController.quiet
    alone = ChronicleController.alone


Chronicle.install(app, Container())
registry = Chronicle(CeleryPublisher(app))


@app.task(name="echo")
def echo(value: Any = None) -> Any:
    return value


@app.task(name="nap")
def nap(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@app.task(name="hopeless")
def hopeless() -> None:
    msg = "no use"
    raise ValueError(msg)


@app.task(name="again", bind=True, max_retries=2)
def again(self: Any) -> int:
    if self.request.retries < 2:
        raise self.retry(countdown=0, exc=ValueError("not yet"))
    return int(self.request.retries)


@app.task(name="poison")
def poison() -> None:
    os._exit(9)


@app.task(name="steps", bind=True)
def steps(self: Any, seconds: float) -> str:
    self.update_state(state="PROGRESS", meta={"current": 1, "total": 2})
    time.sleep(seconds)
    return "done"


@app.task(name="parent")
def parent() -> str:
    return str(echo.delay("child").id)
