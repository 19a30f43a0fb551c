"""A letter by a plain request."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, EmailStr, Field
from starlette.requests import Request
from starlette.responses import Response

from celeriac.http.dependencies import Desk
from celeriac.http.problems import documented
from celeriac.http.security import CurrentCaller
from celeriac.http.sending import IdempotencyKey, TaskRun
from core.mail import Subject
from delivery.http.scopes import Tasks

__all__ = ["email_router"]

BODY: Final = "Welcome!"
"""What the letter says."""


class QueuedEmail(BaseModel):
    """A letter that is going to be sent."""

    task_id: str = Field(examples=["0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"])
    status: str = Field(examples=["queued"])


def email_router() -> APIRouter:
    """``/tasks/email``, at the root: where those who come from RapidKit have it."""
    router = APIRouter(tags=["mail"])

    @router.post(
        "/tasks/email",
        summary="Send a letter of welcome",
        status_code=202,
        response_model=QueuedEmail,
        response_description="Sent to the queue",
        responses=documented(401, 403, 409, 422, 429, 503),
    )
    async def queue_email(
        to: Annotated[EmailStr, Query(description="The address.", examples=["ada@example.org"])],
        subject: Annotated[Subject, Query(description="One line.", examples=["Hello"])],
        *,
        request: Request,
        desk: Desk,
        caller: CurrentCaller,
        tasks: Tasks,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Runs `send_email`. `POST /api/v1/tasks/email.send` sends what you like."""
        run = TaskRun(desk, caller, request, idempotency_key, b"")
        return await run.respond(tasks.send_email, (to, subject, BODY), {}, {}, told=_queued)

    return router


def _queued(task_id: str) -> dict[str, Any]:
    return {"task_id": task_id, "status": "queued"}
