"""Remote control over a pool of consumers: Celery's own commands, with the children shown and told."""

from __future__ import annotations

import logging
from concurrent.futures import wait
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from celery.worker import control, state

from celeriac.worker.parked import SHOWN, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from celeriac.worker.lane.mirror import Mirror
    from celeriac.worker.lane.supervisor import Supervisor

__all__ = ["Remote"]

logger = logging.getLogger(__name__)

_LOOKING: Final = frozenset(
    {"active", "reserved", "query_task", "revoke", "terminate", "revoke_by_stamped_headers", "stats"}
)
_CHANGING: Final = frozenset(
    {
        "revoke",
        "terminate",
        "revoke_by_stamped_headers",
        "rate_limit",
        "time_limit",
        "enable_events",
        "disable_events",
        "hello",
    }
)
_AT_ONCE: Final = 500
"""Task ids in one message to a child."""
_TO_KNOW: Final = 0.5
"""Seconds that children get to take over what was changed; one that is busy takes it over later."""


class Remote:
    """The commands of this worker.

    Args:
        consumer: Celery's, of the parent.
        supervisor: knows the children.
        mirror: shows them to Celery's commands.
    """

    def __init__(self, consumer: Any, supervisor: Supervisor, mirror: Mirror) -> None:
        self._consumer = consumer
        self._app = consumer.app
        self._supervisor = supervisor
        self._mirror = mirror
        self._usual = self._task_limits()
        self.queues: dict[str, Any] = {queue.name: queue for queue in consumer.task_consumer.queues}
        """What the children consume from, by name."""
        self._at_start = set(self.queues)
        self._revoked: set[str] = set()
        self._told: dict[str, Any] = {}
        mirror.before_ending = self.tell

    def handlers(self) -> dict[str, Callable[..., Any]]:
        """Every command by its name."""
        named: dict[str, Any] = control.Panel.data
        handlers: dict[str, Callable[..., Any]] = {name: self._around(command) for name, command in named.items()}
        handlers["scheduled"] = handlers["dump_schedule"] = self.scheduled
        return handlers

    def configuration(self) -> list[tuple[str, Any]]:
        """What a new child is told of all that was changed since the pool started."""
        revoked = list(state.revoked)
        parts = [revoked[at : at + _AT_ONCE] for at in range(0, len(revoked), _AT_ONCE)]
        usual: dict[str, Any] = {"stamps": {}, "tasks": {}, "events": False}
        changed = {name: value for name, value in self._changes().items() if value != usual[name]}
        said = [*({"revoked": part} for part in parts), *([changed] if changed else [])]
        queues = dict(self.queues)
        return [
            *(("configure", each) for each in said),
            *(("add_queue", queue) for name, queue in queues.items() if name not in self._at_start),
            *(("cancel_queue", name) for name in self._at_start - queues.keys()),
        ]

    def tell(self) -> None:
        """Tell the children what has changed since the last time, and wait a moment until they know.

        Whoever sent the command may send the task that it is about right after the reply.
        """
        asked: list[Future[Any]] = []
        revoked = [each for each in state.revoked if each not in self._revoked]
        self._revoked = set(state.revoked)
        for at in range(0, len(revoked), _AT_ONCE):
            told = self._supervisor.ask_all("configure", {"revoked": revoked[at : at + _AT_ONCE]})
            asked += [future for _, future in told]
        now = self._changes()
        changed = {name: value for name, value in now.items() if value != self._told.get(name)}
        self._told = now
        if changed:
            asked += [future for _, future in self._supervisor.ask_all("configure", changed)]
        wait(asked, timeout=_TO_KNOW)

    def scheduled(self, panel: Any, **_: Any) -> list[dict[str, Any]]:
        """List messages that wait for their time: on the broker where it keeps them, else in the children."""
        del panel
        clerk = self._supervisor.clerk
        hostname: str = self._consumer.hostname
        found = shown(self._app, hostname, clerk.parked(SHOWN), prefix=clerk.prefix, queues=self.queues)
        for _member, future in self._supervisor.ask_all("scheduled"):
            found.extend(future.result(timeout=0.5) or [])
        return found

    def _around(self, command: Callable[..., Any]) -> Callable[..., Any]:
        name = getattr(command, "__name__", "")
        if name not in _LOOKING | _CHANGING:
            return command

        @wraps(command)
        def handler(panel: Any, *args: Any, **kwargs: Any) -> Any:
            if name in _LOOKING:
                self._mirror.refresh()
            try:
                return command(panel, *args, **kwargs)
            finally:
                if name in _CHANGING:
                    self.tell()

        return handler

    def _changes(self) -> dict[str, Any]:
        now = self._task_limits()
        dispatcher = self._consumer.event_dispatcher
        events = bool(dispatcher and dispatcher.enabled and (not dispatcher.groups or "task" in dispatcher.groups))
        return {
            "stamps": {header: list(stamps) for header, stamps in state.revoked_stamps.items()},
            "tasks": {name: limits for name, limits in now.items() if limits != self._usual.get(name)},
            "events": events,
        }

    def _task_limits(self) -> dict[str, Any]:
        return {
            name: (task.soft_time_limit, task.time_limit, task.rate_limit) for name, task in self._app.tasks.items()
        }
