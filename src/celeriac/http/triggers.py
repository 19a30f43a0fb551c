"""A route for every task of the registry, made from its signature."""

from __future__ import annotations

import re
from collections import OrderedDict
from inspect import BoundArguments, Parameter
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from typing_extensions import override

from celeriac.error import nearest
from celeriac.exceptions import UnknownTask
from celeriac.http.bodies import body_of, refused
from celeriac.http.examples import example_of
from celeriac.http.options import BY_QUERY, options_by_query
from celeriac.http.problems import documented
from celeriac.http.security import SECURITY, identify
from celeriac.http.sending import KEY_BY_HEADER, TaskRun, key_of
from celeriac.http.views import AcceptedTask
from celeriac.security.permissions import authorize, permission_to_run

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response

    from celeriac.tasks.handle import TaskHandle
    from celeriac.tasks.registry import TasksRegistry
    from celeriac.tasks.signature import TaskSignature

__all__ = ["PROBLEMS", "Trigger", "trigger_router"]

PROBLEMS: Final = (400, 401, 403, 408, 409, 413, 415, 422, 429, 503)
_ROUTABLE: Final = re.compile(r"[A-Za-z0-9._:~-]+")
_NAMED: Final = frozenset({Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY})


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request itself: FastAPI documents it, and does nothing more for it."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


class Trigger:
    """One task as a route.

    Args:
        handle: the task.
    """

    def __init__(self, handle: TaskHandle[..., Any]) -> None:
        self.handle = handle
        self.signature: TaskSignature = handle.signature

    def values(self, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that a body says: one name for each parameter.

        Raises:
            ProblemError: it is no JSON (400), or does not fit (422, naming each field).
        """
        model = self.signature.model
        try:
            checked = model.__pydantic_validator__.validate_json(body)
        except ValidationError as error:
            raise refused(error) from None
        given: dict[str, Any] = {
            str(info.alias): getattr(checked, name)
            for name, info in model.model_fields.items()
            if name in checked.model_fields_set
        }
        if all(each.kind in _NAMED for each in self.signature.parameters):
            return (), given
        ordered = OrderedDict((each.name, given[each.name]) for each in self.signature.parameters if each.name in given)
        bound = BoundArguments(self.signature.inspected, ordered)
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def endpoint(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What FastAPI calls."""
        handle = self.handle
        permission = permission_to_run(handle.definition)

        async def run(request: Request) -> Response:
            # What FastAPI would find for parameters of this function takes longer than to send the task.
            caller = await identify(request)
            authorize(caller, permission)  # who may not run it learns no more of it
            options = options_by_query(request)
            key = key_of(request.headers)
            body = await body_of(request)
            args, kwargs = self.values(body)
            return await TaskRun(request.app.state.celeriac, caller, request, key, body).respond(
                handle, args, kwargs, options
            )

        return run

    @property
    def operation(self) -> dict[str, Any]:
        """What its OpenAPI operation has beside what FastAPI finds out. Models of its own are left in ``$defs``."""
        body = self.signature.model.model_json_schema(by_alias=True, mode="validation")
        body["title"] = f"Arguments of {self.handle.name}"
        optional = not body.get("required")
        result: dict[str, Any] = self._result()
        return {
            "parameters": [*BY_QUERY, KEY_BY_HEADER],
            "security": SECURITY,
            "requestBody": {
                "required": not optional,
                "content": {"application/json": {"schema": body, "example": example_of(body, body.get("$defs", {}))}},
            },
            "x-celeriac-task": {"name": self.handle.name, "result": result},
        }

    def _result(self) -> dict[str, Any]:
        adapter: TypeAdapter[Any] = self.signature.result
        return adapter.json_schema(by_alias=True, mode="serialization")


def trigger_router(registry: TasksRegistry) -> APIRouter:
    """``POST /tasks/<name>`` for every task that is not kept out of HTTP."""
    router = APIRouter(prefix="/tasks", route_class=DirectRoute)
    for handle in registry:
        policy = handle.definition.policy
        if not policy.http or not _ROUTABLE.fullmatch(handle.name):
            continue
        trigger = Trigger(handle)
        said = handle.definition.__doc__ or ""
        router.add_api_route(
            f"/{handle.name}",
            trigger.endpoint(),
            methods=["POST"],
            status_code=202,
            name=f"run {handle.name}",
            operation_id=f"run_{re.sub(r'[^A-Za-z0-9]', '_', handle.name)}",
            tags=["run"],
            summary=handle.definition.summary or f"Run {handle.name}",
            description=said or f"Run {handle.name}.",
            response_model=AcceptedTask,
            response_description="Sent",
            responses=documented(*PROBLEMS),
            openapi_extra=trigger.operation,
        )

    async def unknown(request: Request) -> Response:
        """Any other name."""
        await identify(request)
        name: str = request.path_params["name"]
        known = (each.name for each in registry if each.definition.policy.http)
        raise UnknownTask(task=name, hint=nearest(name, known))

    router.add_api_route("/{name}", unknown, methods=["POST"], include_in_schema=False, response_model=None)
    return router
