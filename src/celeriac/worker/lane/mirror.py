"""The children's tasks as the worker's own: what Celery's remote control looks at."""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Final

from celery.platforms import signals as platform_signals
from celery.worker import state

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.worker.lane.members import Member
    from celeriac.worker.lane.supervisor import Supervisor

__all__ = ["Mirror", "MirroredRequest"]

_ANSWER_WITHIN: Final = 0.5
"""Seconds that children get to tell what they do; one whose task holds the interpreter is described by its slot."""


class MirroredRequest:
    """A request that a child works on or holds, as remote control commands take it."""

    def __init__(self, app: Any, told: dict[str, Any], supervisor: Supervisor, before: Callable[[], None]) -> None:
        self._told = told
        self._before = before
        self._info: dict[str, Any] = told["info"]
        self._supervisor = supervisor
        self.id: str = self._info["id"]
        self.name: str = self._info["name"]
        self.task = app.tasks.get(self._info["type"])
        self.stamps: dict[str, Any] = told["stamps"]
        self.acknowledged: bool = self._info["acknowledged"]

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  Celery's signature
        """What ``inspect active`` shows."""
        if not safe:
            return self._info
        return {**self._info, "args": self._told["argsrepr"], "kwargs": self._told["kwargsrepr"]}

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """End the task with the child that runs it."""
        del pool
        self._before()
        self._supervisor.end_task(self.id, platform_signals.signum(signal or "SIGTERM"))


class Mirror:
    """Keeps :mod:`celery.worker.state` like the children, whenever somebody is about to look.

    Args:
        app: the application.
        supervisor: knows the children.
    """

    def __init__(self, app: Any, supervisor: Supervisor) -> None:
        self._app = app
        self._supervisor = supervisor
        self._kept: list[MirroredRequest] = []
        self.before_ending: Callable[[], None] = _nothing
        """Called before a task is ended with its child: a broker may have handed its message to another at once, which
        has to know by then that it is revoked."""

    def refresh(self) -> None:
        """Ask the children what they run and what they hold."""
        supervisor = self._supervisor
        asked = supervisor.ask_all("tasks")
        totals = supervisor.ask_all("totals")
        deadline = time.monotonic() + _ANSWER_WITHIN
        told: list[dict[str, Any]] = []
        for member, future in asked:
            answer = _within(future, deadline)
            told += _shown(member) if answer is None else answer
        self._show(told)
        state.total_count.clear()
        state.total_count.update(supervisor.totals)
        for member, future in totals:
            state.total_count.update(_within(future, deadline) or member.totals)

    def glance(self) -> None:
        """The same from the slots alone, at no cost to the children."""
        self._show([each for member in self._supervisor.members() for each in _shown(member)])

    def _show(self, told: list[dict[str, Any]]) -> None:
        state.requests.clear()
        state.active_requests.clear()
        state.reserved_requests.clear()
        self._kept = [MirroredRequest(self._app, each, self._supervisor, self.before_ending) for each in told]
        for each, request in zip(told, self._kept, strict=True):
            state.requests[request.id] = request
            state.reserved_requests.add(request)
            if each["phase"] == "active":
                state.active_requests.add(request)
        state.all_total_count[0] = self._supervisor.done


def _nothing() -> None:
    """Nobody has to know."""


def _within(future: Any, deadline: float) -> Any:
    try:
        return future.result(max(deadline - time.monotonic(), 0.0))
    except FutureTimeoutError:
        return None


def _shown(member: Member) -> list[dict[str, Any]]:
    slot = member.slot
    if not slot.busy:
        return []
    task_id, name = slot.task
    return [
        {
            "phase": "active",
            "stamps": {},
            "argsrepr": "",
            "kwargsrepr": "",
            "info": {
                "id": task_id,
                "name": name,
                "args": (),
                "kwargs": {},
                "type": name,
                "hostname": "",
                "time_start": time.time() - (time.monotonic() - slot.started),
                "acknowledged": False,
                "delivery_info": {},
                "worker_pid": member.pid,
            },
        }
    ]
