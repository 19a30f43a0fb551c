"""The whole application, and the small router for people who only want health in one of theirs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.middleware.cors import CORSMiddleware

from celeriac.http.actions import Action, actions_router
from celeriac.http.documents import with_definitions
from celeriac.http.events import events_router
from celeriac.http.health import probes, status_router
from celeriac.http.limits import BodyLimits, SecurityHeaders
from celeriac.http.problems import Problem, install_problems
from celeriac.http.security import CurrentCaller, secure
from celeriac.http.system import system_router
from celeriac.http.tasks import tasks_router
from celeriac.http.triggers import trigger_router
from celeriac.security.permissions import SYSTEM_READ, authorize

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from celeriac.http.services import Services
    from celeriac.security.gate import Gate

__all__ = ["create_api", "create_router"]

_TAGS: Final = [
    {"name": "tasks", "description": "Look at tasks, revoke them, run them again."},
    {"name": "run", "description": "Run a task: one route each, with its arguments."},
    {"name": "system", "description": "Workers and queues."},
    {"name": "health", "description": "For load balancers, for Kubernetes, and for people."},
]
_DESCRIPTION: Final = """Run, follow, cancel and explain any task.

Whatever goes wrong is told as `application/problem+json`. A request that carries an `Idempotency-Key` can be sent again
without fear. With the broker away, requests are answered by 503 within two seconds."""


@asynccontextmanager
async def _closing(app: Any) -> AsyncGenerator[None]:
    """Close, at the end of an application of somebody else's, what the routes opened there."""
    try:
        yield
    finally:
        opened: Services | None = getattr(app.state, "celeriac", None)
        if opened is not None:
            opened.close()


def _named(route: APIRoute) -> str:
    return route.name


async def _may_read_system(caller: CurrentCaller) -> None:
    authorize(caller, SYSTEM_READ)


def create_router(*, probes_too: bool = True) -> APIRouter:
    """``/celery/status``, ``/healthz`` and ``/readyz`` for a FastAPI application of your own.

    ::

        app = FastAPI()
        app.include_router(create_router())

    They look at the Celery app that
    :func:`~celeriac.http.dependencies.get_celery_app_dependency` gives.

    Args:
        probes_too: whether ``/healthz`` and ``/readyz`` are among them.
    """
    router = APIRouter(lifespan=_closing)
    router.include_router(status_router())
    if probes_too:
        router.include_router(probes())
    return router


def create_api(
    services: Services,
    gate: Gate,
    *,
    title: str = "Celeriac",
    version: str = "1",
    origins: Sequence[str] = (),
    routers: Sequence[APIRouter] = (),
    streams: Mapping[str, int] = MappingProxyType({}),
) -> FastAPI:
    """The application: every route, under ``/api/v1``.

    Args:
        services: what the routes work with.
        gate: who may come in; opened and closed with the application.
        title: of its OpenAPI document.
        version: likewise.
        origins: web origins whose scripts may call it; none unless said.
        routers: further routes, behind the same gate: those of your use cases.
        streams: paths of theirs that take files, and how many bytes these may have; other bodies have a megabyte.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with services.lifespan():
            await gate.open()
            try:
                yield
            finally:
                await gate.close()

    app = FastAPI(
        title=title,
        version=version,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        generate_unique_id_function=_named,
    )
    app.state.celery = services.celery
    app.state.celeriac = services
    install_problems(app)
    app.include_router(trigger_router(services.registry), prefix=services.prefix)  # first: nearly every request is one
    app.include_router(status_router(), dependencies=[Depends(_may_read_system)])
    app.include_router(probes())
    for router in (
        tasks_router(),
        events_router(),
        actions_router(),
        system_router(),
    ):
        app.include_router(router, prefix=services.prefix)
    for router in routers:
        app.include_router(router)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID"],
            expose_headers=["Location", "Retry-After"],
        )
    secure(app, gate)
    app.add_middleware(BodyLimits, streams=streams)
    app.add_middleware(SecurityHeaders)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                tags=app.openapi_tags,
                routes=app.routes,
            )
            app.openapi_schema = with_definitions(found, Problem, Action)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to change its document
    return app
