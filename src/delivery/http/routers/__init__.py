"""Routes of the use cases, beside those that the kit makes of the registry."""

from __future__ import annotations

from fastapi import APIRouter

from delivery.http.routers.activities import activities_router
from delivery.http.routers.email import email_router
from delivery.http.routers.uploads import uploads_router
from delivery.http.routers.users import users_router

__all__ = ["service_routers"]


def service_routers(prefix: str) -> list[APIRouter]:
    """All of them.

    Args:
        prefix: what stands before the paths of everything but the sources' own ``/tasks/email``.
    """
    return [users_router(prefix), activities_router(prefix), uploads_router(prefix), email_router()]
