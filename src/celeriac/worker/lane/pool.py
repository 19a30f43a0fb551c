"""The pool that ``worker_pool`` names: Celery's worker above, children that take messages by themselves below."""

from __future__ import annotations

import logging
from typing import Any, Final

from celery.concurrency.base import BasePool
from celery.worker import state

from celeriac.worker.lane.buckets import Buckets
from celeriac.worker.lane.child import Child
from celeriac.worker.lane.nursery import Nursery
from celeriac.worker.lane.options import ChildOptions
from celeriac.worker.lane.slots import SlotTable
from celeriac.worker.lane.steps import LaneTasks
from celeriac.worker.lane.supervisor import Supervisor

__all__ = ["LanePool"]

logger = logging.getLogger(__name__)

_SPARE: Final = 4
"""Slots for each process that was asked for, so that a pool can grow and replace children before they are gone."""
_FEWEST_SLOTS: Final = 64


class LanePool(BasePool):
    """N processes, each a consumer of its own that runs tasks in place, under one supervisor.

    Prefork's main process takes every message and hands it to a child through a pipe, which costs more than all else
    together. Here the main process takes no task messages: it keeps Celery's blueprint, signals, remote control and
    events, and supervises the children through memory that it shares with them.

    It is chosen by ``worker_pool = "celeriac.worker.lane.pool:LanePool"``, the default of our applications. Celery's
    command line takes that setting for ``--pool=prefork`` too; ``CELERY_WORKER_POOL=prefork`` gives true prefork.
    """

    uses_semaphore = False
    consumes = True
    """Whether the pool's processes take messages by themselves."""

    def __init__(self, limit: int | None = None, *args: Any, **options: Any) -> None:
        super().__init__(limit, *args, **options)
        self._target = self.limit or 0
        self._supervisor: Supervisor | None = None
        self.app.steps["consumer"].add(LaneTasks)
        self.dynamic: dict[str, Any] = {}

    # -- Celery's life of a pool --------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Fork the children."""
        app, options, conf = self.app, self.options, self.app.conf
        hostname = str((options.get("initargs") or (None, ""))[1])
        app.finalize()
        table = SlotTable(max(_FEWEST_SLOTS, self._target * _SPARE))
        told = ChildOptions(
            soft_timeout=options.get("soft_timeout"),
            hard_timeout=options.get("timeout"),
            max_tasks=options.get("maxtasksperchild"),
            max_memory=options.get("max_memory_per_child"),
            prefetch=conf.worker_prefetch_multiplier,
            coroutines=conf.get("worker_async_concurrency") or 200,
            disable_rate_limits=conf.worker_disable_rate_limits,
        )
        child = Child(app, hostname, table, Buckets(app.tasks), told)
        self._supervisor = Supervisor(
            app,
            hostname,
            table,
            lambda: Nursery(child),
            start_timeout=conf.worker_proc_alive_timeout,
            max_tasks=told.max_tasks,
        )
        self._supervisor.start(self._target)

    def did_start_ok(self) -> bool:
        """Whether at least one child has come up, or may still."""
        return self.supervisor.sound

    def on_close(self) -> None:
        """Begin nothing more."""
        if self._supervisor is not None:
            self._supervisor.wind_down()

    def on_stop(self) -> None:
        """Wait for the tasks that run, then end the children."""
        if self._supervisor is not None:
            self._supervisor.wind_down()
            if state.should_terminate:
                self._supervisor.end_all()
            self._supervisor.join()
            self._supervisor = None

    def on_terminate(self) -> None:
        """End the children now; what they hold goes back."""
        if self._supervisor is not None:
            self._supervisor.wind_down()
            self._supervisor.end_all()
            self._supervisor.join()
            self._supervisor = None

    def restart(self) -> None:
        """Replace every child by one forked from this process as it is now."""
        self.supervisor.renew()

    # -- its size -----------------------------------------------------------------------------------------------------

    @property
    def num_processes(self) -> int:
        """Children that there should be."""
        return self._target

    def grow(self, n: int = 1) -> None:
        """Have ``n`` more children."""
        self._target += n
        self.supervisor.resize(self._target)

    def shrink(self, n: int = 1) -> None:
        """Have ``n`` fewer, idle ones first; none is interrupted.

        Raises:
            ValueError: fewer would be left than none.
        """
        if n > self._target:
            msg = f"{self._target} processes cannot be {n} fewer"
            raise ValueError(msg)
        self._target -= n
        self.supervisor.resize(self._target)

    # -- its tasks ----------------------------------------------------------------------------------------------------

    @property
    def supervisor(self) -> Supervisor:
        """Who looks after the children, while the pool runs."""
        if self._supervisor is None:
            msg = "the pool does not run"
            raise RuntimeError(msg)
        return self._supervisor

    def terminate_job(self, pid: int, signal: int | None = None) -> None:
        """End the child with that process id."""
        self.supervisor.end_pid(pid, signal)

    def _get_info(self) -> dict[str, Any]:
        base: Any = super()
        info: dict[str, Any] = base._get_info()  # noqa: SLF001  Celery's way to add to it
        members = [] if self._supervisor is None else self._supervisor.members()
        options = self.options
        info.update(
            {
                "max-concurrency": self._target,
                "processes": [member.pid for member in members if member.pid and not member.standby],
                "max-tasks-per-child": options.get("maxtasksperchild") or "N/A",
                "put-guarded-by-semaphore": False,
                "timeouts": (options.get("soft_timeout") or 0, options.get("timeout") or 0),
                "writes": "N/A",
            }
        )
        return info
