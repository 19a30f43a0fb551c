"""What a route asks the container for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection

from celeriac.injection import Resolver, scopes_of
from delivery.tasks.registry import TasksRegistry

__all__ = ["Tasks", "request_scope", "resolved"]

T = TypeVar("T")


async def request_scope(connection: HTTPConnection) -> AsyncGenerator[Resolver]:
    """What is built for one request, and closed at its end. The container stands in ``app.state.container``."""
    with scopes_of(connection.app.state.container)() as scope:
        yield scope


def resolved(service: type[T]) -> Callable[[Resolver], Awaitable[T]]:
    """A dependency: the service, out of the scope that all parameters of a request share.

    ::

        Accounts = Annotated[AccountService, Depends(resolved(AccountService))]
    """

    async def resolve(scope: Annotated[Resolver, Depends(request_scope)]) -> T:
        return scope.resolve(service)

    return resolve


Tasks = Annotated[TasksRegistry, Depends(resolved(TasksRegistry))]
"""The registry of tasks, as a parameter of a route."""
