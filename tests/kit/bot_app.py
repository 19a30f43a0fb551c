"""The bot over the tasks of :mod:`tests.kit.service`, put together by the service's container."""

from __future__ import annotations

import asyncio
import os
import signal

from celery import Celery
from tests.kit.service import Container, Registry

import celeriac
from celeriac import CeleryAppConfig, CeleryPublisher, TaskController, create_celery_app, task
from core.configs.infrastructure import configure_infrastructure
from core.configs.settings import Settings
from delivery.bot.program import BotProgram
from delivery.tasks.registry import TasksRegistry
from ioc.bot import register_bot
from ioc.container import build_container


class ReportsController(TaskController):
    @task("reports.build", queue="reports", permission="reports:run")
    def build(self) -> None: ...


class BotRegistry(Registry):
    build_report = ReportsController.build


def main() -> None:
    configure_infrastructure(service_name="bot")
    container = build_container()
    register_bot(container)
    said: dict[str, object] = {"redis_url": container.resolve(Settings).redis_settings.redis_url}
    if (database := os.environ.get("DATABASE_URL")) is not None:
        said |= {"history_enabled": True, "history_database_url": database}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    BotRegistry.install(app, Container())
    container.override(Celery, app)
    registry: celeriac.TasksRegistry = BotRegistry(CeleryPublisher(app))
    container.override(TasksRegistry, registry)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  its ping is there
    asyncio.run(until_asked_to_stop(container.resolve(BotProgram)))
    container.close()


async def until_asked_to_stop(program: BotProgram) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await program.run(stop)


if __name__ == "__main__":
    main()
