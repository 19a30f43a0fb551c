"""Sending a task on behalf of a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Header
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from celeriac.error import nearest
from celeriac.exceptions import BrokerUnavailable, UnknownTask
from celeriac.http.idempotency import LONGEST_KEY
from celeriac.http.json import dumped
from celeriac.security.permissions import authorize, permission_to_run
from celeriac.security.trail import note
from celeriac.tasks.policies import TaskState
from celeriac.transport.publishing.ids import fresh_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers
    from starlette.requests import Request

    from celeriac.http.services import Services
    from celeriac.security.callers import Caller
    from celeriac.tasks.call import Call, CallOptions
    from celeriac.tasks.handle import TaskHandle
    from celeriac.tasks.registry import TasksRegistry

__all__ = ["KEY_BY_HEADER", "IdempotencyKey", "TaskRun", "accepted", "key_of", "runnable", "send", "what_is_asked"]

_KEY: Final = (
    "Any text of yours, new for each task. The same request with the same key sends one task, and gets the first answer"
    " again, for a day."
)
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=LONGEST_KEY,
        description=_KEY,
    ),
]


KEY_BY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": _KEY,
    "schema": {"anyOf": [{"type": "string", "maxLength": LONGEST_KEY}, {"type": "null"}]},
}
"""What an OpenAPI operation says of a route that calls :func:`key_of`."""


def key_of(headers: Headers) -> str | None:
    """The idempotency key of a request.

    Raises:
        RequestValidationError: it is too long: 422.
    """
    key = headers.get("idempotency-key")
    if key is not None and len(key) > LONGEST_KEY:
        message = f"String should have at most {LONGEST_KEY} characters"
        raise RequestValidationError([{"loc": ("header", "idempotency-key"), "msg": message}])
    return key


def runnable(registry: TasksRegistry, name: str) -> TaskHandle[..., Any]:
    """The task of a name, if it may be run over HTTP.

    Raises:
        UnknownTask: there is none, or it is not for HTTP.
    """
    handle = registry[name]
    if not handle.definition.policy.http:
        others = (each.name for each in registry if each.definition.policy.http)
        raise UnknownTask(task=name, hint=nearest(name, others))
    return handle


async def send(call: Call, handle: TaskHandle[..., Any]) -> str:
    """Send a call beside the event loop; gives the task's id.

    Raises:
        BrokerUnavailable: the broker did not take it within the budget.
    """
    result = await handle.asend(call)
    note(task=handle.name, task_id=result.id)
    return result.id


def accepted(task_id: str, name: str, prefix: str) -> dict[str, Any]:
    """What is answered for a task that was sent."""
    url = f"{prefix}/tasks/{task_id}"
    return {
        "task_id": task_id,
        "name": name,
        "status": TaskState.PENDING.value,
        "check_url": url,
        "events_url": f"{url}/events",
    }


def what_is_asked(request: Request, body: bytes) -> bytes:
    """What another request has to have in common with this one to be the same."""
    scope = request.scope
    return b"\0".join((scope["method"].encode(), scope["path"].encode(), scope["query_string"], body))


class TaskRun:
    """One request to run one task.

    Args:
        desk: what the routes share.
        caller: who asks.
        request: the request, for its path.
        key: the ``Idempotency-Key``.
        body: the body as it came.
    """

    def __init__(self, desk: Services, caller: Caller, request: Request, key: str | None, body: bytes) -> None:
        self._desk = desk
        self._caller = caller
        self._request = request
        self._key = key
        self._body = body

    async def respond(
        self,
        handle: TaskHandle[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        *,
        told: Callable[[str], dict[str, Any]] | None = None,
    ) -> Response:
        """Check the call, send it once, and say where to look for it.

        Args:
            handle: the task.
            args: positional arguments.
            kwargs: named arguments.
            options: of the call.
            told: what is answered for a task's id, where that is something else than :func:`accepted`.

        Raises:
            PermissionMissing: the caller may not run the task.
            InvalidArguments: the arguments do not fit.
            BrokerUnavailable: the broker did not take it within the budget, and the task does not wait in the outbox.
            HistoryUnavailable: nor did the database.
        """
        authorize(self._caller, permission_to_run(handle.definition))
        call = handle.call(args, kwargs, options)
        what = b"" if self._key is None else what_is_asked(self._request, self._body)
        async with self._desk.idempotency.turn(self._caller.subject, self._key, what) as turn:
            if turn.replay is not None:
                return _response(turn.replay, {"Idempotency-Replayed": "true"})
            waits = handle.definition.policy.outbox and self._desk.outbox.there
            if turn.task_id is not None or waits:
                # Whatever comes of the first try, the second one has to be the same task.
                call = handle.call(args, kwargs, {**options, "task_id": turn.task_id or fresh_id()})
            try:
                task_id = await send(call, handle)
            except BrokerUnavailable:
                if not waits:
                    raise
                task_id = await self._desk.ask_history(self._desk.outbox.write, handle, call)
                note(task=handle.name, task_id=task_id, detail="written into the outbox: the broker is away")
            turn.answer = dumped(accepted(task_id, handle.name, self._desk.prefix) if told is None else told(task_id))
            return _response(turn.answer, {"Location": f"{self._desk.prefix}/tasks/{task_id}"})


def _response(body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, 202, headers, "application/json")
