"""Following a task: server-sent events, until it has ended."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Header
from redis.exceptions import RedisError
from starlette.responses import Response, StreamingResponse

from celeriac.exceptions import HistoryUnavailable
from celeriac.http.dependencies import Desk
from celeriac.http.filters import TaskId
from celeriac.http.json import dumped
from celeriac.http.lookup import Found, look
from celeriac.http.problems import ProblemError, documented, unavailable
from celeriac.http.security import CurrentCaller
from celeriac.http.views import is_final, seen, status_of
from celeriac.security.permissions import TASKS_READ, authorize
from celeriac.tasks.policies import TaskState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from celeriac.http.services import Services

__all__ = ["events_router"]

HEARTBEAT: Final = 15.0
"""Seconds of silence after which the task is looked up, and a comment says that the stream still lives."""
MOST_STREAMS: Final = 5000
"""Streams that one process serves at once."""
_RECONNECT: Final = 2000
"""Milliseconds after which a client that lost its stream asks again."""
_SHAPE: Final = ("task_id", "status", "message", "progress", "result", "error")
_DOCUMENT: Final = {
    "text/event-stream": {
        "schema": {"type": "string"},
        "example": 'id: 1f0c9f3c2a5d7b61\nevent: progress\ndata: {"task_id":"...","status":"PROGRESS",'
        '"progress":{"current":1,"total":4}}\n\n',
    }
}


def events_router() -> APIRouter:
    """``/tasks/{task_id}/events``."""
    router = APIRouter(prefix="/tasks", tags=["tasks"])

    @router.get(
        "/{task_id}/events",
        summary="Follow a task",
        response_model=None,
        response_class=StreamingResponse,
        responses={
            200: {"description": "Events `state` and `progress`; the last one ends the stream.", "content": _DOCUMENT},
            204: {"description": "`Last-Event-ID` was the last one: do not ask again."},
            **documented(401, 403, 404, 422, 429, 503),
        },
    )
    async def follow(
        task_id: TaskId,
        desk: Desk,
        caller: CurrentCaller,
        last_event_id: Annotated[
            str | None, Header(max_length=64, description="The id of the last event that was seen.")
        ] = None,
    ) -> Response:
        """What the task is now, and each change from now on, until it has ended.

        A client that lost the stream sends `Last-Event-ID`, and is told what changed since: the latest state and
        progress, not each one between.
        """
        authorize(caller, TASKS_READ)
        found = await look(desk, task_id, together=True)
        if found.ended and _id_of(found.meta, found.status) == last_event_id:
            return Response(status_code=204)
        if desk.streams >= MOST_STREAMS:
            unavailable(f"This process serves {MOST_STREAMS} streams already.", kind="too-many-streams")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_stream(desk, found, last_event_id), headers=headers, media_type="text/event-stream")

    return router


async def _stream(desk: Services, found: Found, last: str | None) -> AsyncGenerator[bytes]:
    desk.streams += 1
    try:
        yield b"retry: %d\n\n" % _RECONNECT
        known = _id_of(found.meta, found.status)
        if known != last:
            yield _event(desk, found, found.meta, known)
        if found.ended:
            return
        states = desk.states.follow(found.id, HEARTBEAT)
        try:
            async for meta in states:
                if meta is None:
                    if (end := await _ended_unheard(desk, found.id)) is not None:
                        yield _event(desk, end, end.meta, _id_of(end.meta, end.status))
                        return
                    yield b": alive\n\n"
                    continue
                status = status_of(meta, None)
                if (new := _id_of(meta, status)) == known:
                    continue
                known = new
                yield _event(desk, found, meta, known)
                if is_final(status):
                    return
        finally:
            await states.aclose()
    except RedisError:
        return  # the client asks again, and is told what is wrong then
    finally:
        desk.streams -= 1


async def _ended_unheard(desk: Services, task_id: str) -> Found | None:
    """The task, if it ended and the result backend did not tell: it was revoked, or keeps no result."""
    try:
        found = await look(desk, task_id, together=True)
    except (ProblemError, HistoryUnavailable, RedisError):
        return None  # the next look may tell
    return found if found.ended else None


def _id_of(meta: dict[str, Any] | None, status: TaskState) -> str:
    """The same for the same state and progress, in every process."""
    if meta is None:
        return status.value.lower()
    what = dumped([meta.get("status"), str(meta.get("date_done")), meta.get("result")])
    return hashlib.blake2b(what, digest_size=8).hexdigest()


def _event(desk: Services, found: Found, meta: dict[str, Any] | None, event_id: str) -> bytes:
    view = seen(found.id, meta, found.record, desk.registry, revoked=found.revoked and meta is None)
    data = dumped({name: view[name] for name in _SHAPE if name in view})
    kind = b"progress" if view["status"] == TaskState.PROGRESS.value else b"state"
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (event_id.encode(), kind, data)
