"""HTTP: the application, and what its routes work with. Only a process that serves registers it."""

from __future__ import annotations

from celery import Celery
from fastapi import FastAPI

from celeriac.history.service import TaskHistory
from celeriac.http import Services, create_api
from celeriac.security.gate import Gate
from core.configs.settings import Settings
from delivery.tasks.registry import TasksRegistry
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_http"]


def register_http(container: Container) -> None:
    """Register the FastAPI application. It is built once, and opens nothing before it serves."""
    container.register(Services, _services, lifetime=Lifetime.SINGLETON)
    container.register(FastAPI, _api, lifetime=Lifetime.SINGLETON)


def _services(celery: Celery, registry: TasksRegistry, history: TaskHistory) -> Services:
    """With the history, where one is kept."""
    return Services(celery, registry, history if celery.conf.get("history_enabled") else None)


def _api(settings: Settings, services: Services, gate: Gate) -> FastAPI:
    http = settings.http_settings
    return create_api(services, gate, title=http.title, origins=http.origins)
