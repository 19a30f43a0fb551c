"""A service whose tasks talk, for the tests of what a worker logs."""

from __future__ import annotations

import asyncio
import logging
import os

import structlog

from celeriac import CeleryAppConfig, TaskController, TasksRegistry, create_celery_app, task
from celeriac.telemetry.logging import configure_logging
from celeriac.telemetry.tracing import configure_tracing
from ioc.punq_container import Container

configure_logging("INFO", "json", "talking")
configure_tracing("talking")


class TalkingTaskController(TaskController):
    @task("talk")
    def talk(self) -> None:
        structlog.get_logger("ours").info("by structlog", url="redis://app:hunter2@cache/0")
        logging.getLogger("theirs").info("by logging")
        print("by print")

    @task("talk.coroutine")
    async def talk_in_a_coroutine(self) -> None:
        await asyncio.sleep(0)
        structlog.get_logger("ours").info("by a coroutine")

    @task("talk.fail")
    def fail(self) -> None:
        msg = "redis://app:hunter2@cache/0 is gone"
        raise ConnectionError(msg)


class TalkingRegistry(TasksRegistry):
    talk = TalkingTaskController.talk
    coroutine = TalkingTaskController.talk_in_a_coroutine
    fail = TalkingTaskController.fail


container = Container()
container.register(TalkingTaskController)
app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": os.environ["REDIS_URL"]}))
TalkingRegistry.install(app, container)
