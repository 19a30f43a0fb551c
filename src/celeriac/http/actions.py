"""One action on many tasks."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from celeriac.exceptions import CeleriacError
from celeriac.history.records import HistoryState
from celeriac.http.bodies import body_of, parsed
from celeriac.http.dependencies import Desk
from celeriac.http.filters import Chosen
from celeriac.http.json import JsonResponse
from celeriac.http.problems import ProblemError, documented
from celeriac.http.repeating import repeat_record
from celeriac.http.revoking import tell_workers
from celeriac.http.security import CurrentCaller
from celeriac.security.permissions import TASKS_CANCEL, TASKS_READ, authorize
from celeriac.security.trail import note

if TYPE_CHECKING:
    from starlette.responses import Response

    from celeriac.history.records import HistoryFilter
    from celeriac.http.services import Services
    from celeriac.security.callers import Caller

__all__ = ["actions_router"]

MOST: Final = 10_000
"""Tasks that one request acts on."""
_AT_ONCE: Final = 500
_SHOWN: Final = 100
_OPEN: Final = frozenset(state for state in HistoryState if not state.ended)
_FAILED: Final = frozenset({HistoryState.FAILED, HistoryState.DEAD, HistoryState.REVOKED})


class Verb(StrEnum):
    """What is done to each."""

    CANCEL = "cancel"
    RETRY = "retry"


class Action(BaseModel):
    """What is to be done, and to which tasks."""

    model_config = ConfigDict(extra="forbid")

    action: Verb = Field(
        description="`cancel`: those that have not ended never run. `retry`: those that failed, were revoked, or are"
        " dead letters, run again."
    )
    filter: Chosen = Field(description="Which ones. `{}` means all.")
    dry_run: bool = Field(default=True, description="Count them, and do nothing.")
    terminate: bool = Field(default=False, description="`cancel`: stop those that run.")
    limit: int = Field(default=1000, ge=1, le=MOST, description="How many, at most; the newest first.")


class Failed(BaseModel):
    """One that could not be done."""

    task_id: str
    reason: str


class ActionReport(BaseModel):
    """What was done."""

    action: Verb
    dry_run: bool
    matched: int = Field(description="How many tasks fit the filter.")
    done: int = Field(description="How many it was done to.")
    failed: list[Failed] = Field(description="The first 100 that it could not be done to.")


def actions_router() -> APIRouter:
    """``/actions``."""
    router = APIRouter(tags=["tasks"])

    @router.post(
        "/actions",
        summary="Cancel or retry many tasks",
        response_model=ActionReport,
        responses=documented(400, 401, 403, 408, 413, 415, 422, 429, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/Action"},
                        "example": {"action": "cancel", "filter": {"name": "example.add"}, "dry_run": True},
                    }
                },
            }
        },
    )
    async def act(request: Request, desk: Desk, caller: CurrentCaller) -> Response:
        """By a filter. Without `dry_run: false` it only counts, so look first."""
        said = parsed(Action, await body_of(request))
        authorize(caller, TASKS_READ)
        if said.action is Verb.CANCEL:
            authorize(caller, TASKS_CANCEL)
        chosen = said.filter.filter(_OPEN if said.action is Verb.CANCEL else _FAILED)
        matched = await desk.ask_history(desk.history.count, chosen)
        done, failed = 0, list[dict[str, str]]()
        if not said.dry_run:
            ids = await desk.ask_history(_listed(desk, chosen, said.limit))
            if said.action is Verb.CANCEL:
                done = await _cancel(desk, ids, terminate=said.terminate)
            else:
                done, failed = await _retry(desk, caller, ids)
            note(count=done)
        told: dict[str, Any] = {"action": said.action, "dry_run": said.dry_run, "matched": matched}
        return JsonResponse({**told, "done": done, "failed": failed})

    return router


def _listed(desk: Services, chosen: HistoryFilter, limit: int) -> Callable[[], list[str]]:
    return lambda: list(islice(desk.history.ids(chosen, limit), limit))


async def _cancel(desk: Services, ids: list[str], *, terminate: bool) -> int:
    for at in range(0, len(ids), _AT_ONCE):
        await tell_workers(desk, ids[at : at + _AT_ONCE], terminate=terminate)
    return len(ids)


async def _retry(desk: Services, caller: Caller, ids: list[str]) -> tuple[int, list[dict[str, str]]]:
    done, failed = 0, list[dict[str, str]]()
    for task_id in ids:
        record = await desk.ask_history(desk.history.get, task_id)
        if record is None:  # pruned meanwhile
            continue
        try:
            await repeat_record(desk, caller, record)
        except (ProblemError, CeleriacError) as error:
            if isinstance(error, ConnectionError):  # nor would the next one get through
                raise
            if len(failed) < _SHOWN:
                failed.append({"task_id": task_id, "reason": str(error)})
        else:
            done += 1
    return done, failed
