"""What the ways in from outside work with: HTTP and the bot look tasks up, send and revoke them by the same."""

from __future__ import annotations

from celery import Celery

from celeriac.history.service import TaskHistory
from celeriac.http.services import Services
from delivery.tasks.registry import TasksRegistry
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_services"]


def register_services(container: Container) -> None:
    """Register it. It opens no connection before it is used."""
    container.register(Services, _services, lifetime=Lifetime.SINGLETON)


def _services(celery: Celery, registry: TasksRegistry, history: TaskHistory) -> Services:
    """With the history, where one is kept."""
    return Services(celery, registry, history if celery.conf.get("history_enabled") else None)
