"""HTTP: the application, and what its routes work with. Only a process that serves registers it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from celeriac.http import Services, create_api
from celeriac.security.gate import Gate
from core.configs.settings import Settings
from delivery.http.problems import install_service_problems
from delivery.http.routers import service_routers
from delivery.http.routers.uploads import UPLOADS
from infrastructure.database.async_database import AsyncDatabase
from ioc.punq_container import Container
from ioc.registration import Lifetime
from ioc.services import register_services

__all__ = ["register_http"]


def register_http(container: Container) -> None:
    """Register the FastAPI application. It is built once, and opens nothing before it serves."""
    register_services(container)
    container.register(FastAPI, _api, lifetime=Lifetime.SINGLETON)


def _api(settings: Settings, services: Services, gate: Gate, database: AsyncDatabase, container: Container) -> FastAPI:
    http = settings.http_settings
    streams = {f"{services.prefix}{UPLOADS}": settings.storage_settings.max_upload}
    routers = [*service_routers(services.prefix), _closing(database)]
    api = create_api(services, gate, title=http.title, origins=http.origins, routers=routers, streams=streams)
    install_service_problems(api)
    api.state.container = container
    return api


def _closing(database: AsyncDatabase) -> APIRouter:
    """No routes, but the end of the application's connections: they belong to its event loop, which ends with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await database.aclose()

    return APIRouter(lifespan=lifespan)
