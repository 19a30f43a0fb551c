"""What users did: noted for their exports and for reports."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from celeriac.http.bodies import body_of, parsed
from celeriac.http.dependencies import Desk
from celeriac.http.problems import documented
from celeriac.http.security import CurrentCaller
from celeriac.http.sending import IdempotencyKey, what_is_asked
from celeriac.security.permissions import authorize
from core.accounts.activities import ActivityService
from core.errors import RefusedError
from delivery.http.scopes import resolved

__all__ = ["USERS_RECORD", "activities_router"]

USERS_RECORD: Final = "users:record"
"""Note what users did."""

_EXAMPLE: Final[dict[str, Any]] = {"kind": "ordered", "details": {"plant": "celeriac", "pieces": 2}}


class NewActivity(BaseModel):
    """One thing that a user did just now."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]*$", examples=["ordered"])
    details: dict[str, JsonValue] = Field(default={}, examples=[{"plant": "celeriac", "pieces": 2}])


def activities_router(prefix: str) -> APIRouter:
    """``/users/{user_id}/activities`` below a prefix."""
    router = APIRouter(prefix=f"{prefix}/users", tags=["users"])

    @router.post(
        "/{user_id}/activities",
        summary="Note what a user did",
        status_code=204,
        response_description="Noted",
        responses=documented(
            400, 401, 403, 408, 413, 415, 422, 429, 503, not_found="No such user.", conflict="The key is in use."
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": NewActivity.model_json_schema(), "example": _EXAMPLE}},
            }
        },
    )
    async def note_activity(
        user_id: Annotated[int, Path(examples=[7])],
        request: Request,
        desk: Desk,
        caller: CurrentCaller,
        activities: Annotated[ActivityService, Depends(resolved(ActivityService))],
        *,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """It is part of the user's next export, and counted by reports."""
        authorize(caller, USERS_RECORD)
        body = await body_of(request)
        said = parsed(NewActivity, body)
        what = what_is_asked(request, body)
        async with desk.idempotency.turn(caller.subject, idempotency_key, what, refused=(RefusedError,)) as turn:
            if turn.replay is not None:
                return Response(status_code=204, headers={"Idempotency-Replayed": "true"})
            await activities.record(user_id, [(said.kind, said.details)])
            turn.answer = b""
            return Response(status_code=204)

    return router
