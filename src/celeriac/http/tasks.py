"""Tasks: run by name, list, look at, revoke, retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request

from celeriac.http.bodies import body_of, parsed
from celeriac.http.dependencies import Desk
from celeriac.http.filters import Chosen, Cursor, Limit, TaskId, chosen_by_query
from celeriac.http.json import JsonResponse
from celeriac.http.lookup import look
from celeriac.http.options import RunRequest
from celeriac.http.problems import documented
from celeriac.http.repeating import repeat
from celeriac.http.revoking import revoke
from celeriac.http.security import CurrentCaller
from celeriac.http.sending import IdempotencyKey, TaskRun, runnable
from celeriac.http.triggers import PROBLEMS
from celeriac.http.views import AcceptedTask, TaskPage, TaskView, summary
from celeriac.security.permissions import TASKS_CANCEL, TASKS_READ, authorize
from celeriac.security.trail import note
from celeriac.tasks.policies import TaskState

if TYPE_CHECKING:
    from starlette.responses import Response

__all__ = ["tasks_router"]


class RevokedTask(BaseModel):
    """A task that will not run, or is being stopped."""

    task_id: str
    status: TaskState = Field(description="`REVOKED` at once if nobody had it in hand.")
    terminate: bool = Field(description="Whether it is stopped if it runs.")


def tasks_router() -> APIRouter:
    """``/tasks`` and ``/tasks/{task_id}``."""
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.get("", summary="List tasks", response_model=TaskPage, responses=documented(401, 403, 422, 429, 503))
    async def list_tasks(
        desk: Desk,
        caller: CurrentCaller,
        chosen: Annotated[Chosen, Depends(chosen_by_query)],
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Response:
        """The newest first. A page of tasks that come and go meanwhile neither repeats nor skips one."""
        authorize(caller, TASKS_READ)
        page = await desk.ask_history(desk.history.page, chosen.filter(), cursor, limit)
        return JsonResponse({"tasks": [summary(record) for record in page.tasks], "cursor": page.cursor})

    @router.post(
        "",
        summary="Run a task by name",
        status_code=202,
        response_model=AcceptedTask,
        response_description="Sent",
        responses=documented(404, *PROBLEMS),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": RunRequest.model_json_schema()}},
            }
        },
    )
    async def run_task(
        request: Request, desk: Desk, caller: CurrentCaller, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """Any task of the registry; `POST /tasks/<name>` has the arguments of each with their types."""
        body = await body_of(request)
        said = parsed(RunRequest, body)
        handle = runnable(desk.registry, said.name)
        note(task=handle.name)
        args, kwargs = handle.signature.load(said.args, said.kwargs)
        run = TaskRun(desk, caller, request, idempotency_key, body)
        return await run.respond(handle, tuple(args), kwargs, said.options())

    @router.get(
        "/{task_id}",
        summary="Look at a task",
        response_model=TaskView,
        response_model_exclude_unset=True,
        responses=documented(401, 403, 404, 422, 429, 503),
    )
    async def get_task(task_id: TaskId, desk: Desk, caller: CurrentCaller) -> Response:
        """Its status, and what belongs to the status: a message, its progress, its result or its error."""
        authorize(caller, TASKS_READ)
        return JsonResponse((await look(desk, task_id)).view(desk))

    @router.delete(
        "/{task_id}",
        summary="Revoke a task",
        status_code=202,
        response_model=RevokedTask,
        responses=documented(401, 403, 404, 409, 422, 429, 503),
    )
    async def revoke_task(
        task_id: TaskId,
        desk: Desk,
        caller: CurrentCaller,
        terminate: Annotated[bool, Query(description="Stop it if it runs.")] = False,  # noqa: FBT002  a query
    ) -> Response:
        """It never starts, on no worker, whenever that starts. One that has ended is a 409."""
        authorize(caller, TASKS_CANCEL)
        status = await revoke(desk, task_id, terminate=terminate)
        told: dict[str, Any] = {"task_id": task_id, "status": status.value, "terminate": terminate}
        return JsonResponse(told, 202)

    @router.post(
        "/{task_id}/retry",
        summary="Run a task again",
        status_code=202,
        response_model=AcceptedTask,
        responses=documented(401, 403, 404, 409, 422, 429, 503),
    )
    async def retry_task(task_id: TaskId, desk: Desk, caller: CurrentCaller) -> Response:
        """One that has ended, with the same arguments: a new task. A dead letter goes back to its queue as it is."""
        return JsonResponse(await repeat(desk, caller, task_id), 202)

    return router
