"""One of Celery's requests while it runs in a thread of the worker itself."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import Ignore, SoftTimeLimitExceeded, TimeLimitExceeded, WorkerShutdown, WorkerTerminate
from celery.platforms import signals

from celeriac.tasks.guarded import failure_of
from celeriac.tasks.interruption import GivenBack, Interrupted, Interruptible, interruptible
from celeriac.tasks.leaving import is_leaving
from celeriac.tasks.loop import Bounds, bounds
from celeriac.worker.given_back import give_back
from celeriac.worker.records import einfo_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Run"]

logger = logging.getLogger("celery.worker.request")

_AGAIN: Final = 1.0
"""Seconds until a task is interrupted again that has not ended: it may have caught the first one."""


class Run:
    """Runs one request, holds it to its limits, and ends it when it was revoked or the worker ends.

    Args:
        request: of Celery's.
        soft: seconds until the soft limit, or ``None``.
        hard: seconds until the hard one, or ``None``.
        code: what can be interrupted.
        wake: has somebody call :meth:`look` soon; from any thread, and from a signal's handler.
    """

    def __init__(
        self, request: Any, soft: float | None, hard: float | None, code: Interruptible, wake: Callable[[], None]
    ) -> None:
        self.request = request
        self.code = code
        self.patience: Callable[[], float] = _none
        """Gives the seconds that the task may still take where the worker ends at once."""
        self._soft, self._hard = soft, hard
        self._wake = wake
        self._bounds = Bounds(soft, hard) if getattr(request.task, "is_coroutine", False) else None
        now = time.monotonic()
        limited = self._bounds is None
        self._soft_at = now + soft if soft and limited else None
        self._hard_at = now + hard if hard and limited else None
        self._end_at: float | None = None
        self._signum: int | None = None
        self._emit_retry: bool | None = None
        code.soft = soft
        # Celery's own end a process, and know a request by nothing but the id of that.
        request.terminate, request.cancel = self._terminate, self._cancel

    @property
    def due(self) -> float | None:
        """When to look, by the monotonic clock."""
        return min((at for at in (self._soft_at, self._hard_at, self._end_at) if at is not None), default=None)

    # -- in the thread that runs it

    def __call__(
        self, target: Any, args: Any, kwargs: Any, callback: Callable[[Any], Any], accept: Callable[..., Any]
    ) -> None:
        """Run Celery's tracer, and tell the request what came of it."""
        request = self.request
        limits = bounds.set(self._bounds)
        mark = interruptible.set(self.code if self._bounds is None else None)
        try:
            accept(os.getpid(), time.monotonic())
            outcome = target(*args, **(kwargs or {}))
        except (WorkerShutdown, WorkerTerminate):
            raise
        except GivenBack as back:
            self._give_back(back)
        except BaseException as error:  # noqa: BLE001  it ends the task, not its worker
            failure = failure_of(request.task.name, error) or error
            request.on_failure(einfo_of(failure), return_ok=False)
        else:
            if self._signum is not None and (self._bounds is not None or self.code.interrupted):
                request._announce_revoked("terminated", True, self._signum, False)  # noqa: FBT003, SLF001  Celery's own
            else:
                callback(outcome)
        finally:
            interruptible.reset(mark)
            bounds.reset(limits)

    def _give_back(self, back: GivenBack) -> None:
        if self._emit_retry is not None:  # the worker ends, and what is not acknowledged goes back with its connection
            self.request._announce_cancelled(self._emit_retry)  # noqa: SLF001  Celery's own way
        else:
            give_back(self.request, back, _uncounted)

    # -- in the thread that watches

    def look(self, now: float) -> None:
        """Do what is due."""
        if self._soft_at is not None and now >= self._soft_at:
            self._soft_at = None
            if self.code.open:
                self.request.on_timeout(True, self._soft)  # noqa: FBT003  Celery's signature: the soft one
                self.code.interrupt(SoftTimeLimitExceeded)
        if self._hard_at is not None and now >= self._hard_at:
            self._hard_at = None
            if self.code.reason is None:
                logger.error(
                    "Hard time limit (%ss) exceeded for %s[%s]", self._hard, self.request.name, self.request.id
                )
                self.code.reason = TimeLimitExceeded(self._hard)
                self._end_at = now
        if self._end_at is not None and now >= self._end_at:
            self._end_at = now + _AGAIN
            if self._bounds is not None and self.code.reason is not None:
                self._bounds.interrupt(self.code.reason)
            else:
                self.code.interrupt(Interrupted)

    def postpone(self, seconds: float) -> None:
        """Interrupt again after that time: now is a bad moment."""
        self._end_at = time.monotonic() + seconds
        self._wake()

    # -- in the main thread, perhaps in a signal's handler

    def _terminate(self, pool: Any, signal: Any = None) -> None:
        """Celery's ``Request.terminate``: the task was revoked while it runs."""
        del pool
        self._signum = signals.signum(signal or "TERM")
        self._end(Ignore("terminated"), 0.0)

    def _cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:  # noqa: FBT001, FBT002  Celery's
        """Celery's ``Request.cancel``: the worker ends and does not wait."""
        del pool, signal
        self._emit_retry = emit_retry
        self._end(GivenBack(), self.patience())

    def _end(self, reason: BaseException, seconds: float) -> None:
        self.code.reason = reason
        self._end_at = time.monotonic() + seconds
        self._wake()


def _none() -> float:
    return 0.0


def _uncounted(message: Any) -> None:
    channel = message.channel
    if hasattr(channel, "give_back"):
        channel.give_back([message])
    elif not is_leaving():  # else it goes back with the connection
        message.requeue()
