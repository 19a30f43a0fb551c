"""One process of the pool: takes messages, runs them in place, and does what its parent says."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Any, cast

from billiard.process import current_process
from celery import _state as celery_state
from celery import platforms, signals
from celery.app import trace
from celery.app.task import Task
from celery.exceptions import SoftTimeLimitExceeded
from celery.worker import state

from celeriac.worker.lane.attendant import Attendant
from celeriac.worker.lane.consuming import Consuming
from celeriac.worker.lane.desk import Desk
from celeriac.worker.lane.duty import Duty
from celeriac.worker.lane.running import InPlacePool, Runner
from celeriac.worker.lane.stacks import keep_by_thread
from celeriac.worker.limits import Limits

if TYPE_CHECKING:
    import socket

    from celeriac.worker.lane.buckets import Buckets
    from celeriac.worker.lane.options import ChildOptions
    from celeriac.worker.lane.slots import Slot, SlotTable

__all__ = ["Child"]

logger = logging.getLogger(__name__)

_RESET = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR2")
_IGNORED = ("SIGINT", "SIGQUIT")  # a terminal sends them to all; the parent says what comes of it


class Child:
    """The life of a child, from the fork to its end. One instance serves all children: each runs its own copy.

    Args:
        app: the application.
        hostname: the worker's name.
        table: the slots.
        buckets: rate limits that the children keep together.
        options: what all children are told.
    """

    def __init__(self, app: Any, hostname: str, table: SlotTable, buckets: Buckets, options: ChildOptions) -> None:
        self.app = app
        self.hostname = hostname
        self.table = table
        self.buckets = buckets
        self.options = options

    def __call__(self, index: int, pipe: socket.socket) -> int:
        """Live in a slot; returns the exit code."""
        slot = self.table[index]
        self._settle_in(index, slot)
        options = self.options
        limits = Limits(options.soft_timeout, options.hard_timeout)
        runner = Runner(self.app, self.hostname, slot, limits, options.coroutines)
        duty = Duty(slot, options.max_tasks, options.max_memory)
        runner.crew.on_room = duty.wake
        runner.crew.on_stuck = duty.stop
        pool = InPlacePool(runner, 1)
        runner.desk = desk = Desk(
            self.app,
            self.hostname,
            pool,
            self.buckets,
            _at_once,
            disable_rate_limits=options.disable_rate_limits,
        )
        desk.build_tracers()
        consuming = Consuming(self.app, runner, duty, options)
        attendant = Attendant(pipe, runner, consuming)
        consuming.on_leaving = attendant.say_leaving
        attendant.start()
        slot.ready(os.getpid())
        code = 0
        try:
            consuming.run()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        finally:
            signals.worker_process_shutdown.send(sender=self.hostname, pid=os.getpid(), exitcode=code)
            attendant.close()
        return code

    def _settle_in(self, index: int, slot: Slot) -> None:
        """Become a worker process, as Celery's prefork pool has it."""
        process: Any = current_process()
        process.index = index
        own: Any = celery_state
        own._set_task_join_will_block(True)  # noqa: FBT003, SLF001  Celery's own way
        handlers: Any = platforms.signals
        handlers.reset(*_RESET)
        handlers.ignore(*_IGNORED)
        signal.signal(signal.SIGTERM, _on_term(slot))
        signal.signal(signal.SIGUSR1, _on_soft_limit(slot))
        platforms.set_mp_process_title("celeryd", hostname=self.hostname)
        app = self.app
        app.loader.init_worker()
        app.loader.init_worker_process()
        logfile = os.environ.get("CELERY_LOG_FILE") or None
        if logfile and "%i" in logfile.lower():
            app.log.already_setup = False
            app.log.setup(
                int(os.environ.get("CELERY_LOG_LEVEL", "0") or 0),
                logfile,
                bool(os.environ.get("CELERY_LOG_REDIRECT", "")),
                str(os.environ.get("CELERY_LOG_REDIRECT_LEVEL")),
                hostname=self.hostname,
            )
        app.set_current()
        own.set_default_app(app)
        app.finalize()
        trace.setup_worker_optimizations(app, self.hostname)
        # Celery calls run() past __call__() where that is its own, and then does not know its own patch of it again.
        patched = cast("Any", Task.__call__)
        patched.__module__ = Task.__module__
        keep_by_thread(app)
        revoked = list(state.revoked)
        state.reset_state()
        state.revoked.update(revoked)  # read before the first fork: see celeriac.worker.revoked
        state.should_stop = state.should_terminate = None
        signals.worker_process_init.send(sender=self.hostname)


def _at_once(settle: Any, *args: Any, **kwargs: Any) -> None:
    settle(*args, **kwargs)


def _on_term(slot: Slot) -> Any:
    def end(*_: object) -> None:
        """Die if the parent means this very child; else it was meant for all, and the parent sees to the rest."""
        if slot.condemned:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    return end


def _on_soft_limit(slot: Slot) -> Any:
    def raise_it(*_: object) -> None:
        """A signal that comes late finds another task or none, and leaves it alone."""
        if slot.condemned:  # revoked with this signal, and the parent has made sure of the task
            raise SoftTimeLimitExceeded
        if (limit := slot.soft_limit_struck()) is not None:
            raise SoftTimeLimitExceeded(limit)

    return raise_it
