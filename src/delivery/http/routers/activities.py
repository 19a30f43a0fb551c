"""What users did: noted for their exports and for reports."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from celeriac.http.bodies import body_of, parsed
from celeriac.http.problems import documented
from celeriac.http.security import CurrentCaller
from celeriac.security.permissions import authorize
from core.accounts.activities import ActivityService
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
        responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503, not_found="No such user."),
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
        caller: CurrentCaller,
        activities: Annotated[ActivityService, Depends(resolved(ActivityService))],
    ) -> Response:
        """It is part of the user's next export, and counted by reports."""
        authorize(caller, USERS_RECORD)
        said = parsed(NewActivity, await body_of(request))
        await activities.record(user_id, [(said.kind, said.details)])
        return Response(status_code=204)

    return router
