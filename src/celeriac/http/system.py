"""Workers and queues."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from kombu.exceptions import OperationalError
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from celeriac.http.dependencies import Desk
from celeriac.http.json import JsonResponse
from celeriac.http.problems import documented, unavailable
from celeriac.http.security import CurrentCaller
from celeriac.http.views import MASK
from celeriac.security.permissions import SYSTEM_READ, authorize

if TYPE_CHECKING:
    from starlette.responses import Response

    from celeriac.http.broker import Backlog
    from celeriac.http.services import Services

__all__ = ["Aspect", "system_router"]


class WorkerView(BaseModel):
    """One worker that answered."""

    name: str = Field(examples=["celery@host"])
    pid: int | None = None
    pool: str | None = Field(default=None, examples=["celeriac.worker.lane.pool:LanePool"])
    concurrency: int | None = None
    uptime: int | None = Field(default=None, description="Seconds.")
    processed: int = Field(description="Tasks since it started.")
    queues: list[str]


class Workers(BaseModel):
    """The workers that answered within a second. One that is busy in the pool `solo` does not."""

    workers: list[WorkerView]


class QueueView(BaseModel):
    """One queue."""

    name: str = Field(examples=["default"])
    depth: int = Field(description="Messages that wait.")
    oldest_seconds: float | None = Field(
        description="How long the oldest of them has waited; null where none does, or the history does not know it."
    )
    rate_in: float | None = Field(description="Tasks a second within the last minute; null until it is known.")
    rate_out: float | None = Field(description="Tasks a second that ended within the last minute; likewise.")
    drain_seconds: float | None = Field(
        description="When it will be empty if this goes on; null where it will not, or it is not known."
    )


class Queues(BaseModel):
    """The queues that the app declares."""

    queues: list[QueueView]


class Aspect(StrEnum):
    """What workers can be asked for."""

    ACTIVE = "active"
    SCHEDULED = "scheduled"
    RESERVED = "reserved"


class Inspection(BaseModel):
    """Each worker's answer. Arguments of tasks that take secrets, and of unknown ones, are masked."""

    workers: dict[str, list[dict[str, Any]]]


def system_router() -> APIRouter:
    """``/workers``, ``/queues`` and ``/inspect``."""
    router = APIRouter(tags=["system"], responses=documented(401, 403, 429, 503))

    @router.get("/workers", summary="The workers", response_model=Workers)
    async def list_workers(desk: Desk, caller: CurrentCaller) -> Response:
        """Who works, on what, and with how many processes."""
        authorize(caller, SYSTEM_READ)
        queues = await desk.fleet.tell("active_queues")
        stats = await desk.fleet.tell("stats")
        return JsonResponse(
            {"workers": [_worker(name, stats.get(name, {}), queues.get(name)) for name in sorted(stats)]}
        )

    @router.get("/queues", summary="The queues", response_model=Queues)
    async def list_queues(desk: Desk, caller: CurrentCaller) -> Response:
        """How much waits, how long already, and how fast it comes and goes."""
        authorize(caller, SYSTEM_READ)
        backlogs = await take_sample(desk)
        now = datetime.now(UTC)
        found = [await _queue(desk, name, backlog, now) for name, backlog in sorted(backlogs.items())]
        return JsonResponse({"queues": found})

    @router.get("/inspect/{aspect}", summary="What workers have in hand", response_model=Inspection)
    async def inspect(aspect: Aspect, desk: Desk, caller: CurrentCaller) -> Response:
        """`active`: what runs. `scheduled`: what waits for its time. `reserved`: what was taken and has not begun."""
        authorize(caller, SYSTEM_READ)
        replies = await desk.fleet.tell(aspect.value)
        return JsonResponse(
            {"workers": {name: [_shown(desk, each) for each in told] for name, told in replies.items()}}
        )

    return router


async def take_sample(desk: Services) -> dict[str, Backlog]:
    """What waits now; noted, so that rates can be told.

    Raises:
        ProblemError: the broker does not answer: 503.
    """
    try:
        backlogs = await desk.ask_broker(desk.broker.backlogs)
        ended = [] if desk.outcomes is None else await desk.ask_redis(desk.outcomes.ended)
    except (RedisError, OperationalError, OSError) as error:
        unavailable(f"The broker did not answer: {type(error).__name__}.", error)
    desk.broker.sample(backlogs, ended)
    return backlogs


async def _queue(desk: Services, name: str, backlog: Backlog, now: datetime) -> dict[str, Any]:
    rates = desk.broker.rates(name)
    rate_in, rate_out = (None, None) if rates is None else (rates.rate_in, rates.rate_out)
    drain = None
    if not backlog.depth:
        drain = 0.0
    elif rates is not None and rates.rate_out > rates.rate_in:
        drain = round(backlog.depth / (rates.rate_out - rates.rate_in), 1)
    since = None
    if desk.keeps_history:
        records = [await desk.ask_history(desk.history.get, each) for each in backlog.oldest]
        known = [record.queued_at for record in records if record is not None and record.queued_at is not None]
        since = min(known, default=None)
    return {
        "name": name,
        "depth": backlog.depth,
        "oldest_seconds": None if since is None else round(max((now - since).total_seconds(), 0.0), 3),
        "rate_in": rate_in,
        "rate_out": rate_out,
        "drain_seconds": drain,
    }


def _worker(name: str, stats: dict[str, Any], queues: list[dict[str, Any]] | None) -> dict[str, Any]:
    pool: dict[str, Any] = stats.get("pool") or {}
    done: dict[str, int] = stats.get("total") or {}
    uptime = stats.get("uptime")
    return {
        "name": name,
        "pid": stats.get("pid"),
        "pool": pool.get("implementation"),
        "concurrency": pool.get("max-concurrency"),
        "uptime": None if uptime is None else math.floor(float(uptime)),
        "processed": sum(done.values()),
        "queues": sorted(str(queue["name"]) for queue in queues or ()),
    }


def _shown(desk: Services, told: dict[str, Any]) -> dict[str, Any]:
    """What a worker told of a task, without secrets."""
    request: Any = told.get("request")
    if isinstance(request, dict):  # of `scheduled`
        inner: dict[str, Any] = {**request}
        return {**told, "request": _shown(desk, inner)}
    name = told.get("type") or told.get("name")
    plain = any(handle.name == name and not handle.signature.secret_arguments for handle in desk.registry)
    return told if plain else {**told, "args": MASK, "kwargs": MASK}
