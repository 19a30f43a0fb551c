"""Users: open an account, look at it, ask for all that is known of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, EmailStr, Field
from starlette.requests import Request
from starlette.responses import Response

from celeriac.http.bodies import body_of, parsed
from celeriac.http.dependencies import Desk
from celeriac.http.json import JsonResponse, dumped
from celeriac.http.problems import documented
from celeriac.http.security import CurrentCaller
from celeriac.http.sending import IdempotencyKey, TaskRun, what_is_asked
from celeriac.security.permissions import authorize, permission_to_run
from core.accounts import User, UserName
from core.accounts.service import AccountService
from core.errors import RefusedError
from core.exports import ExportFormat
from delivery.http.scopes import Tasks, resolved

__all__ = ["USERS_CREATE", "USERS_READ", "users_router"]

USERS_CREATE: Final = "users:create"
"""Open accounts."""
USERS_READ: Final = "users:read"
"""See who has one."""

Accounts = Annotated[AccountService, Depends(resolved(AccountService))]
UserId = Annotated[int, Path(examples=[7])]
_EXAMPLE: Final = {"email": "ada@example.org", "name": "Ada Lovelace"}
_UNKNOWN: Final = "No such user."


class NewUser(BaseModel):
    """Somebody who is to have an account."""

    model_config = ConfigDict(extra="forbid")

    email: EmailStr = Field(examples=["ada@example.org"])
    name: UserName = ""


class UserView(BaseModel):
    """A user."""

    id: int = Field(examples=[7])
    email: str = Field(description="In small letters.", examples=["ada@example.org"])
    name: str = Field(examples=["Ada Lovelace"])
    created: datetime


class RequestedExport(BaseModel):
    """An export that is going to be made."""

    task_id: str = Field(examples=["0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"])
    status: str = Field(examples=["pending"])
    check_url: str = Field(
        description="Where to ask for it.", examples=["/api/v1/tasks/0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"]
    )


def users_router(prefix: str) -> APIRouter:
    """``/users`` below a prefix."""
    router = APIRouter(prefix=f"{prefix}/users", tags=["users"])

    @router.post(
        "",
        summary="Open an account",
        status_code=201,
        response_model=UserView,
        response_description="Opened",
        responses=documented(
            400, 401, 403, 408, 413, 415, 422, 429, 503, conflict="Another user has the address, or the key is in use."
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": NewUser.model_json_schema(), "example": _EXAMPLE}},
            }
        },
    )
    async def create_user(
        request: Request, desk: Desk, caller: CurrentCaller, accounts: Accounts, idempotency_key: IdempotencyKey = None
    ) -> Response:
        """The user is kept together with the call that is going to welcome them; the letter goes out later."""
        authorize(caller, USERS_CREATE)
        body = await body_of(request)
        said = parsed(NewUser, body)
        what = what_is_asked(request, body)
        async with desk.idempotency.turn(caller.subject, idempotency_key, what, refused=(RefusedError,)) as turn:
            if turn.replay is not None:
                return _created(turn.replay, {"Idempotency-Replayed": "true"})
            user = await accounts.create(said.email, said.name)
            turn.answer = dumped(_view(user))
            return _created(turn.answer, {"Location": f"{prefix}/users/{user.id}"})

    @router.get(
        "/{user_id}",
        summary="Look at a user",
        response_model=UserView,
        responses=documented(401, 403, 422, 429, 503, not_found=_UNKNOWN),
    )
    async def get_user(user_id: UserId, caller: CurrentCaller, accounts: Accounts) -> Response:
        """As the last change left it."""
        authorize(caller, USERS_READ)
        return JsonResponse(_view(await accounts.get(user_id)))

    @router.post(
        "/{user_id}/export",
        summary="Export a user's data",
        status_code=202,
        response_model=RequestedExport,
        response_description="Sent",
        responses=documented(401, 403, 409, 422, 429, 503, not_found=_UNKNOWN),
    )
    async def request_export(
        user_id: UserId,
        kind: Annotated[ExportFormat, Query(alias="format", description="How the file is written.")] = "json",
        *,
        request: Request,
        desk: Desk,
        caller: CurrentCaller,
        accounts: Accounts,
        tasks: Tasks,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Runs `export_user_data`; ask `check_url` how far it is, and where the file lies in the end."""
        handle = tasks.export_user_data
        authorize(caller, permission_to_run(handle.definition))
        user = await accounts.get(user_id)
        run = TaskRun(desk, caller, request, idempotency_key, b"")
        return await run.respond(handle, (user.id, kind), {}, {}, told=_requested(prefix))

    return router


def _requested(prefix: str) -> Callable[[str], dict[str, Any]]:
    def told(task_id: str) -> dict[str, Any]:
        return {"task_id": task_id, "status": "pending", "check_url": f"{prefix}/tasks/{task_id}"}

    return told


def _view(user: User) -> dict[str, Any]:
    return {"id": user.id, "email": user.email, "name": user.name, "created": user.created}


def _created(body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, 201, headers, "application/json")
