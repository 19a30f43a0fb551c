"""What a worker does differently whose tasks run in its own process."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps, signals
from celery.concurrency import solo, thread
from celery.worker.consumer.tasks import Tasks

from celeriac.tasks.leaving import leave, stay, tell_children
from celeriac.worker.holding import tenure_of
from celeriac.worker.leasing import Leasing
from celeriac.worker.resident.guardian import Guardian
from celeriac.worker.resident.solo import SoloPool
from celeriac.worker.resident.threads import ThreadsPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["GuardedTasks", "Residence"]

logger = logging.getLogger("celery.worker.consumer")

_OURS: Final[Mapping[Any, type[Any]]] = {thread.TaskPool: ThreadsPool, solo.TaskPool: SoloPool}


class Residence(bootsteps.Step):
    """Puts our pools in the place of Celery's, and makes the guardian before the worker has any threads."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)  # all steps are made before the first is carried out
        parent.pool_cls = pool = _OURS.get(parent.pool_cls, parent.pool_cls)
        # A worker inside of something else, as in a test, is in one of its threads: no moment to fork.
        alone = threading.current_thread() is threading.main_thread()
        guarded = alone and getattr(pool, "resident", False)
        leasing = Leasing.of(parent.app.conf) if guarded else None
        tenure = tenure_of(parent.app) if guarded else None
        self._guardian = Guardian(leasing, tenure) if leasing or tenure else None
        parent.guardian = self._guardian
        if getattr(pool, "consumes", False):
            return  # the lane's children are told one by one
        stay()
        signals.worker_shutting_down.connect(leave)
        if alone and not getattr(pool, "resident", False):
            _tell_children(parent)


def _tell_children(worker: Any) -> None:
    """Have a pool's processes know of the end, which Celery's own tells them only once they are idle."""
    tell_children()
    wait_softly: Callable[[], None] = worker.wait_for_soft_shutdown

    def wait_for_soft_shutdown() -> None:
        leave()
        wait_softly()

    worker.wait_for_soft_shutdown = wait_for_soft_shutdown


class GuardedTasks(bootsteps.StartStopStep):
    """Tells the guardian, after each connection, in whose name this worker holds messages."""

    requires = (Tasks,)
    label = "Guardian"

    def __init__(self, c: Any, **kwargs: Any) -> None:
        super().__init__(c, **kwargs)

    def include_if(self, parent: Any) -> bool:
        """Only with our pools that run tasks in this process."""
        return getattr(parent.pool, "resident", False)

    def start(self, parent: Any) -> None:
        """Hand over the owner of the leases."""
        c = parent
        c.controller.wait_for_soft_shutdown = lambda: _wait_softly(c)
        c.pool.guardian = guardian = getattr(c.controller, "guardian", None)
        owner = getattr(c.task_consumer.channel, "owner", None)
        if guardian is not None and owner is not None:
            guardian.guard([owner])

    def stop(self, parent: Any) -> None:
        """It goes on: what runs stays claimed while the worker connects again."""


def _wait_softly(c: Any) -> None:
    """Celery's soft shutdown, which sleeps for all of its time and, in a solo pool, keeps the task from running."""
    seconds = c.app.conf.worker_soft_shutdown_timeout
    if seconds > 0:
        logger.warning("Initiating Soft Shutdown, terminating in %s seconds", seconds)
        c.pool.soften(seconds)
