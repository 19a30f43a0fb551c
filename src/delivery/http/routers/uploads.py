"""Files: send one, and have it processed."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from celeriac.http.dependencies import Desk
from celeriac.http.idempotency import Turn
from celeriac.http.json import dumped
from celeriac.http.problems import ProblemError, documented
from celeriac.http.security import CurrentCaller
from celeriac.http.sending import IdempotencyKey, what_is_asked
from celeriac.http.services import Services
from celeriac.security.permissions import authorize, permission_to_run
from core.errors import RefusedError
from core.uploads.inbox import InboxService, Received, file_of
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
        what = what_is_asked(request, b"")
        async with desk.idempotency.turn(caller.subject, idempotency_key, what, refused=(RefusedError,)) as turn:
            if turn.replay is not None:
                return await _replayed(request, turn, turn.replay)
            if turn.task_id is None:
                received = await inbox.receive(_pieces(request))
            elif turn.body is not None and await _is_known(desk, turn.task_id):
                turn.answer = _told(prefix, Received(file_of(turn.task_id), turn.task_id))
                return await _replayed(request, turn, turn.answer)
            else:
                received = await inbox.receive(_bound(request, turn), turn.task_id)
            turn.answer = _told(prefix, received)
            return _accepted(turn.answer, {"Location": f"{prefix}/tasks/{received.task_id}"})

    return router


async def _is_known(desk: Services, task_id: str) -> bool:
    """Whether the task was sent: then its file was kept."""
    if await desk.states.read(task_id) is not None:
        return True
    return desk.keeps_history and await desk.ask_history(desk.history.get, task_id) is not None


async def _pieces(request: Request) -> AsyncGenerator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:  # there is nobody to read this
        raise ProblemError(400, "broken-off", "The file broke off; nothing was kept.") from None


async def _bound(request: Request, turn: Turn) -> AsyncGenerator[bytes]:
    """The file, which makes the request what it is once it is all there."""
    digest = hashlib.sha256()
    async for piece in _pieces(request):
        digest.update(piece)
        yield piece
    await turn.bind(digest.hexdigest())


async def _replayed(request: Request, turn: Turn, answer: bytes) -> Response:
    """The first answer, if the file is the one that it was given for."""
    async for _ in _bound(request, turn):
        pass
    return _accepted(answer, {"Idempotency-Replayed": "true"})


def _told(prefix: str, received: Received) -> bytes:
    url = f"{prefix}/tasks/{received.task_id}"
    return dumped({"file_id": received.file_id, "task_id": received.task_id, "check_url": url})


def _accepted(body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, 202, headers, "application/json")
