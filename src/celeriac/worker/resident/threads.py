"""Celery's pool of threads, with limits and an end that does not wait for ever."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from celery.concurrency.base import BasePool, apply_target
from celery.worker import state
from typing_extensions import override

from celeriac.tasks.interruption import Interruptible
from celeriac.tasks.leaving import leave
from celeriac.worker.limits import Limits
from celeriac.worker.resident.hands import Hands
from celeriac.worker.resident.run import Run
from celeriac.worker.resident.watch import Watch

if TYPE_CHECKING:
    from celeriac.worker.resident.guardian import Guardian

__all__ = ["ThreadsPool"]

_GRACE: Final = 1.0
"""Seconds that tasks get to leave once they are interrupted, where the worker ends at once."""
_LOOK_EVERY: Final = 0.02


class ThreadsPool(BasePool):
    """What ``--pool=threads`` means for our applications.

    No thread can be killed. A task that has to end is interrupted by an exception before its next step in Python, and
    one that takes none is left behind: its message goes back, and the process ends without it.
    """

    body_can_be_buffer = True
    signal_safe = False
    resident = True
    """Whether tasks run in the worker's own process."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.guardian: Guardian | None = None
        self._hands = Hands(self.limit)
        self._limits = Limits(self.options.get("soft_timeout"), self.options.get("timeout"))
        self._watch = Watch()

    @override
    def on_apply(self, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> None:
        accept, callback = options.get("accept_callback"), options.get("callback")
        request = getattr(accept, "__self__", None)
        if request is None or accept is None or callback is None:  # no request of the worker's
            self._hands.submit(lambda: apply_target(target, args, kwargs, callback, accept))
            return
        soft, hard = options.get("soft_timeout"), options.get("timeout")

        def job() -> None:
            run = Run(request, soft or self._limits.soft, hard or self._limits.hard, Interruptible(), self._watch.wake)
            self._watch.begin(run)
            try:
                run(target, args, kwargs, callback, accept)
            finally:
                self._watch.end(run)

        self._hands.submit(job)

    @override
    def flush(self) -> None:
        """The connection was lost, and all that has not begun went back with it: another worker may have it by now."""
        self._hands.forget()

    @override
    def on_stop(self) -> None:
        """Wait for what runs; at once, if the worker shall end at once. May be called from a signal's handler."""
        leave()
        self._hands.drop()
        while self._watch.runs and state.should_terminate is None:
            time.sleep(_LOOK_EVERY)
        deadline = time.monotonic() + _GRACE  # what runs was told to end: see Run
        while self._watch.runs and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)
        self.on_terminate()

    @override
    def on_terminate(self) -> None:
        self._watch.stop()
        if self.guardian is not None:
            self.guardian.close()

    def soften(self, seconds: float) -> None:
        """Let what runs have that time, and no longer than it needs."""
        leave()
        self._hands.drop()
        deadline = time.monotonic() + seconds
        while self._watch.runs and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY)

    def _get_info(self) -> dict[str, Any]:
        base: Any = super()
        info: dict[str, Any] = base._get_info()  # noqa: SLF001  Celery's way to add to it
        timeouts = (self._limits.soft or 0, self._limits.hard or 0)
        return {**info, "max-concurrency": self.limit, "threads": len(self._hands.threads), "timeouts": timeouts}
