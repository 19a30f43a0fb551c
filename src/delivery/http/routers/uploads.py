"""Files: send one, and have it processed."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from celeriac.http.dependencies import Desk
from celeriac.http.json import dumped
from celeriac.http.problems import documented, problem
from celeriac.http.security import CurrentCaller
from celeriac.http.sending import IdempotencyKey, what_is_asked
from celeriac.security.permissions import authorize, permission_to_run
from core.uploads.inbox import InboxService
from delivery.http.scopes import Tasks, resolved

__all__ = ["UPLOADS", "uploads_router"]

UPLOADS: Final = "/uploads"
"""Below the prefix."""

Inbox = Annotated[InboxService, Depends(resolved(InboxService))]


class ReceivedUpload(BaseModel):
    """A file that came, and is going to be processed."""

    file_id: str = Field(examples=["5f0c6a1be8a54fd3a5ce0b2d6c9a7b10"])
    task_id: str = Field(examples=["0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"])
    check_url: str = Field(
        description="Where to ask for the task.", examples=["/api/v1/tasks/0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"]
    )


def uploads_router(prefix: str) -> APIRouter:
    """``/uploads`` below a prefix."""
    router = APIRouter(tags=["uploads"])

    @router.post(
        f"{prefix}{UPLOADS}",
        summary="Send a file",
        status_code=202,
        response_model=ReceivedUpload,
        response_description="Kept in the inbox",
        responses=documented(400, 401, 403, 408, 409, 413, 422, 429, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def receive_upload(
        request: Request,
        desk: Desk,
        caller: CurrentCaller,
        inbox: Inbox,
        tasks: Tasks,
        *,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """The body is the file as it is. Runs `process_upload`; ask `check_url` what came of it."""
        authorize(caller, permission_to_run(tasks.process_upload.definition))
        length = request.headers.get("content-length", "")
        what = what_is_asked(request, length.encode())
        async with desk.idempotency.turn(caller.subject, idempotency_key, what) as turn:
            if turn.replay is not None:
                return _accepted(turn.replay, {"Idempotency-Replayed": "true"})
            try:
                received = await inbox.receive(request.stream())
            except ClientDisconnect:  # there is nobody to read this
                return problem(400, "broken-off", "The file broke off; nothing was kept.")
            url = f"{prefix}/tasks/{received.task_id}"
            told: dict[str, Any] = {"file_id": received.file_id, "task_id": received.task_id, "check_url": url}
            turn.answer = dumped(told)
            return _accepted(turn.answer, {"Location": url})

    return router


def _accepted(body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, 202, headers, "application/json")
