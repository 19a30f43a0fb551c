"""What routes ask FastAPI for."""

from __future__ import annotations

from typing import Annotated, Any

from celery import Celery
from fastapi import Depends
from starlette.requests import HTTPConnection

from celeriac.app import create_celery_app
from celeriac.http.services import Services

__all__ = ["Desk", "get_celery_app_dependency", "services"]


async def get_celery_app_dependency(connection: HTTPConnection) -> Celery:
    """The Celery app of this FastAPI application, the same for every request.

    ::

        @app.post("/tasks/email")
        async def send(celery_app: Annotated[Celery, Depends(get_celery_app_dependency)]): ...

    It is what stands in ``app.state.celery``: the container's, in the service. Where nothing stands there, the app that
    the environment describes is made, and kept there. Tests replace it by ``app.dependency_overrides``.
    """
    state: Any = connection.app.state
    found: Celery | None = getattr(state, "celery", None)
    if found is None:
        found = state.celery = create_celery_app()
    return found


async def services(
    connection: HTTPConnection, celery: Annotated[Celery, Depends(get_celery_app_dependency)]
) -> Services:
    """What the routes of this application share."""
    state: Any = connection.app.state
    found: Services | None = getattr(state, "celeriac", None)
    if found is None or found.celery is not celery:
        found = state.celeriac = Services(celery)
    return found


Desk = Annotated[Services, Depends(services)]
"""For a route's parameter."""
