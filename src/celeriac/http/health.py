"""Whether the service is well: for load balancers, for Kubernetes, and for people."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field
from redis.exceptions import RedisError

from celeriac.http.dependencies import Desk
from celeriac.http.json import JsonResponse
from celeriac.http.problems import RETRY_AFTER, ProblemError, documented, problem

if TYPE_CHECKING:
    from starlette.responses import Response

    from celeriac.http.services import Services

__all__ = ["Status", "probes", "report", "status_router"]


class BrokerStatus(BaseModel):
    """The broker."""

    connected: bool
    url: str = Field(description="Without its password.", examples=["redis://localhost:6379/0"])


class WorkerStatus(BaseModel):
    """The workers that answered within a second."""

    active: int = Field(examples=[4])
    queues: list[str] = Field(description="What they read.", examples=[["default", "high_priority"]])


class TaskStatus(BaseModel):
    """Tasks that ended within the last 60 minutes, counted on all workers."""

    completed_last_hour: int = Field(examples=[1234])
    failed_last_hour: int = Field(examples=[2])


class Status(BaseModel):
    """How Celery is."""

    status: Literal["healthy", "degraded", "unhealthy"] = Field(
        description="`degraded`: no worker answers. `unhealthy`: the broker does not."
    )
    module: Literal["celery"] = "celery"
    broker: BrokerStatus
    workers: WorkerStatus
    tasks: TaskStatus
    queues: dict[str, int] = Field(description="How many messages wait in each queue.", examples=[{"default": 0}])


class Alive(BaseModel):
    """This process."""

    status: Literal["ok"] = "ok"


async def report(desk: Services) -> dict[str, Any]:
    """How Celery is, as :class:`Status` has it. What cannot be found out counts as none."""
    connected = await _answer(desk, desk.broker.reachable, default=False)
    replies: dict[str, Any] = {}
    depths: dict[str, int] = {}
    if connected:
        try:
            replies = await desk.fleet.tell("active_queues")
            depths = {queue: each.depth for queue, each in (await desk.ask_broker(desk.broker.backlogs)).items()}
        except (ProblemError, RedisError, OSError):
            connected = False
    done, failed = (0, 0) if desk.outcomes is None else await _answer(desk, desk.outcomes.last_hour, default=(0, 0))
    read = {str(queue["name"]) for queues in replies.values() for queue in queues}
    return {
        "status": ("healthy" if replies else "degraded") if connected else "unhealthy",
        "module": "celery",
        "broker": {"connected": connected, "url": desk.broker.url},
        "workers": {"active": len(replies), "queues": sorted(read)},
        "tasks": {"completed_last_hour": done, "failed_last_hour": failed},
        "queues": depths,
    }


async def _answer(desk: Services, ask: Any, default: Any) -> Any:
    try:
        return await desk.ask_broker(ask)
    except (ProblemError, RedisError, OSError):
        return default


def status_router() -> APIRouter:
    """``/celery/status``."""
    router = APIRouter(tags=["health"])

    @router.get(
        "/celery/status",
        summary="How Celery is",
        response_model=Status,
        responses={503: {"model": Status, "description": "Unhealthy: the broker does not answer."}},
    )
    async def celery_status(desk: Desk) -> Response:
        """Broker, workers, queues, and what was done within the last hour."""
        said = await report(desk)
        return JsonResponse(said, 503 if said["status"] == "unhealthy" else 200, {"Cache-Control": "no-store"})

    return router


def probes() -> APIRouter:
    """``/healthz`` and ``/readyz``."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="Whether this process is alive", response_model=Alive)
    async def healthz() -> Response:
        """Asks nobody: a broker that is away is no reason to start this process again."""
        return JsonResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Whether this process can take requests",
        response_model=Alive,
        responses=documented(503),
    )
    async def readyz(desk: Desk) -> Response:
        """Whether the broker answers, and the Redis of the results. The database may be away: tasks run without it."""
        if not await _answer(desk, desk.broker.reachable, default=False):
            return _not_ready("The broker")
        shelf = desk.shelf
        if shelf is not None and not await _answer(desk, partial(shelf.call, "PING"), default=False):
            return _not_ready("Redis")
        return JsonResponse({"status": "ok"})

    return router


def _not_ready(what: str) -> Response:
    """Said and not raised: an application of somebody else's may not know our errors."""
    return problem(503, "not-ready", f"{what} does not answer.", headers={"Retry-After": str(RETRY_AFTER)})
