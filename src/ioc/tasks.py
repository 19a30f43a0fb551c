"""Tasks: the Celery app with all of them, the registry that calls them, the controllers that run them."""

from __future__ import annotations

from typing import Any

from celery import Celery

from celeriac import CeleryAppConfig, CeleryPublisher, TaskContext, create_celery_app
from celeriac.schedule import install_schedule
from celeriac.tasks.queues import declare_queues
from core.configs.settings import Settings
from delivery.tasks.registry import TasksRegistry
from delivery.tasks.schedule import schedule
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_tasks"]

QUEUES = ("high_priority", "low_priority")
"""What every worker of the service reads beside the default queue, unless ``-Q`` names others."""


def register_tasks(container: Container) -> None:
    """Register Celery, the registry, and every controller that the registry names.

    A new task needs no line here. The app and what holds it survive a fork: Celery itself renews its connections, and
    a worker's child must run the tasks of the app that it was forked with.
    """
    container.register(Celery, _celery, lifetime=Lifetime.SINGLETON, close=Celery.close, fork_safe=True)
    container.register(CeleryPublisher, lifetime=Lifetime.SINGLETON, fork_safe=True)
    container.register(TasksRegistry, _registry, lifetime=Lifetime.SINGLETON, fork_safe=True)
    container.register(TaskContext, TaskContext.current)
    for controller in _controllers():
        container.register(controller)


def _celery(settings: Settings, container: Container) -> Celery:
    """The app, complete: with every task of the registry, and with the schedule.

    Raises:
        UnresolvableService: a controller could not be built when its task runs.
        ConfigurationError: whatever else is wrong with a task, the schedule or the settings.
    """
    for controller in _controllers():
        container.check(controller)
    said: dict[str, Any] = {"redis_url": settings.redis_settings.redis_url}
    if (database := settings.database_settings.url(settings.environment)) is not None:
        history = settings.history_settings.celery_history_enabled
        said |= {"history_enabled": history, "outbox_enabled": True, "history_database_url": database}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    TasksRegistry.install(app, container)
    declare_queues(app, QUEUES)
    install_schedule(app, schedule(TasksRegistry(CeleryPublisher(app))))
    return app


def _registry(publisher: CeleryPublisher) -> TasksRegistry:
    return TasksRegistry(publisher)


def _controllers() -> list[type]:
    """Each controller once, in the order of the registry."""
    owners = (definition.controller for definition in TasksRegistry.definitions().values())
    return list(dict.fromkeys(owner for owner in owners if owner is not None))
