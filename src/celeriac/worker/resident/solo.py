"""Celery's solo pool, with limits and an end that gives back what runs."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Final

from celery.concurrency import solo
from celery.concurrency.base import apply_target
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils import log
from celery.worker import state

from celeriac.tasks.interruption import Interruptible
from celeriac.tasks.leaving import leave
from celeriac.worker.limits import Limits
from celeriac.worker.resident.run import Run
from celeriac.worker.resident.watch import Watch

if TYPE_CHECKING:
    from celeriac.worker.resident.guardian import Guardian

__all__ = ["SoloPool"]

_SOON: Final = 0.05


class SoloPool(solo.TaskPool):
    """What ``--pool=solo`` means for our applications.

    A task in the main thread is interrupted by a signal to it, which ends a system call that it waits in as well.
    """

    resident = True
    """Whether tasks run in the worker's own process."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.guardian: Guardian | None = None
        self.patience = 0.0
        """Seconds that a task may still take where the worker ends at once."""
        vars(self)["on_apply"] = self._apply  # where Celery's own puts its function
        self._limits = Limits(self.options.get("soft_timeout"), self.options.get("timeout"))
        self._watch = Watch()
        self._error: type[BaseException] | None = None
        self._former: Any = None

    def on_start(self) -> None:
        """Take over the signal; in the main thread alone, which is where a worker usually is."""
        if threading.current_thread() is threading.main_thread():
            self._former = signal.signal(signal.SIGUSR1, self._on_signal)

    def on_stop(self) -> None:
        """End. Called from a signal's handler, a task may still run below it."""
        if not self._watch.runs:
            self.on_terminate()

    def on_terminate(self) -> None:
        """Nothing runs any more."""
        self._watch.stop()
        if self._former is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGUSR1, self._former)
            self._former = None
        if self.guardian is not None:
            self.guardian.close()

    def soften(self, seconds: float) -> None:
        """Let what runs have that time: it runs in the thread that would wait for it."""
        leave()
        self.patience = seconds

    def _apply(self, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> None:
        accept, callback = options.get("accept_callback"), options.get("callback")
        request = getattr(accept, "__self__", None)
        if request is None or accept is None or callback is None:  # no request of the worker's
            apply_target(target, args, kwargs, callback, accept)
            return
        ending: Any = state
        if ending.should_stop is not None or ending.should_terminate is not None:
            return  # it came with others, and goes back with the connection
        by_signal = self._former is not None and threading.current_thread() is threading.main_thread()
        code = Interruptible(self._deliver) if by_signal else Interruptible()
        soft, hard = options.get("soft_timeout"), options.get("timeout")
        run = Run(request, soft or self._limits.soft, hard or self._limits.hard, code, self._watch.wake)
        run.patience = self._take_patience
        self._watch.begin(run)
        try:
            run(target, args, kwargs, callback, accept)
        finally:
            self._watch.end(run)

    def _take_patience(self) -> float:
        """Once: who asks again has lost it."""
        seconds, self.patience = self.patience, 0.0
        return seconds

    def _deliver(self, ident: int, error: type[BaseException] | None) -> None:
        self._error = error
        if error is not None:
            signal.pthread_kill(ident, signal.SIGUSR1)

    def _on_signal(self, signum: int, frame: Any) -> None:
        run = next(iter(tuple(self._watch.runs)), None)
        error = self._error
        if run is None or error is None:
            if callable(self._former):
                self._former(signum, frame)
            return
        if log._in_sighandler:  # type: ignore[attr-defined]  # noqa: SLF001  not out of another handler
            run.postpone(_SOON)
            return
        self._error = None
        if run.code.open:
            raise error(run.code.soft) if error is SoftTimeLimitExceeded else error
