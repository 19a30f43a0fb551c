"""The thread in a child that listens to the parent while tasks run."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final, cast

from celery.worker import control, state

from celeriac.tasks.leaving import leave

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from celeriac.worker.lane.consuming import Consuming
    from celeriac.worker.lane.running import Runner

__all__ = ["Attendant"]

logger = logging.getLogger(__name__)

_scheduled: Any = cast("Any", control)._iter_schedule_requests  # noqa: SLF001  what ``inspect scheduled`` is made of
_LIMITS: Final = ("soft_time_limit", "time_limit", "rate_limit")


class Attendant:
    """Answers the parent's questions and passes on its orders.

    Requests are ``(number, name, argument)``; each is answered by ``(number, answer)``.

    Args:
        pipe: to the parent.
        runner: runs this child's messages.
        consuming: takes them.
    """

    def __init__(self, pipe: socket.socket, runner: Runner, consuming: Consuming) -> None:
        self._pipe = Connection(pipe.detach())
        self._runner = runner
        self._consuming = consuming
        self._calls: dict[str, Callable[[Any], Any]] = {
            "stop": self._stop,
            "recall": self._recall,
            "configure": self._configure,
            "tasks": self._tasks,
            "totals": lambda _: dict(state.total_count),
            "add_queue": self._add_queue,
            "cancel_queue": self._cancel_queue,
            "settle": self._settle,
            "cancel": lambda said: self._runner.crew.cancel(*said),
            "scheduled": lambda _: list(_scheduled(self._runner.desk.timer)),
        }
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="celeriac-attendant", daemon=True)

    def start(self) -> None:
        """Take in how the parent is configured, then listen."""
        self._thread.start()

    def say_leaving(self) -> None:
        """Have the parent look at the slot, which says that this child begins no more."""
        with suppress(OSError):
            self._pipe.send((0, None))

    def close(self) -> None:
        """Say what was done, and hang up."""
        with suppress(OSError):
            self._pipe.send((0, dict(state.total_count)))
        self._closing = True

    def _serve(self) -> None:
        while True:
            try:
                number, name, argument = self._pipe.recv()
            except (EOFError, OSError):
                if not self._closing:
                    os._exit(1)  # the parent is gone: nobody would stop this child any more
                return
            try:
                answer = self._calls[name](argument)
            except Exception:
                logger.exception("the parent's %r failed", name)
                answer = None
            try:
                self._pipe.send((number, answer))
            except OSError:
                return

    def _stop(self, _: Any) -> None:
        self._consuming.duty.stop()
        leave()
        self._recall(None)

    def _recall(self, _: Any) -> None:
        """The main thread is busy for longer than expected: let others have what waits behind its task."""
        self._consuming.give_back()

    def _configure(self, said: dict[str, Any]) -> None:
        """Take over what remote control changed in the parent."""
        state.revoked.update(said.get("revoked", ()))
        if "stamps" in said:
            state.revoked_stamps.clear()
            state.revoked_stamps.update(said["stamps"])
        tasks = self._runner.app.tasks
        for name, limits in said.get("tasks", {}).items():
            for limit, value in zip(_LIMITS, limits, strict=True):
                if name in tasks:
                    setattr(tasks[name], limit, value)
        if "tasks" in said or "events" in said:
            self._consuming.duty.order(lambda: self._runner.reconfigure(events=said.get("events")))

    def _add_queue(self, queue: Any) -> None:
        self._consuming.duty.order(lambda: self._consuming.add_queue(queue))

    def _cancel_queue(self, name: str) -> None:
        self._consuming.duty.order(lambda: self._consuming.cancel_queue(name))

    def _tasks(self, _: Any) -> list[dict[str, Any]]:
        """What runs and what waits here, as Celery's ``Request.info()`` has it, with what the parent needs besides."""
        return self._runner.running_now() + [
            self._runner.told(message, "reserved") for message in list(self._waiting())
        ]

    def _waiting(self) -> Any:
        loop = self._consuming.loop
        return () if loop is None else loop.waiting

    def _settle(self, task_id: str) -> bool:
        """Acknowledge the message of a task that is about to be ended with this process."""
        return self._runner.settle_running(task_id)
