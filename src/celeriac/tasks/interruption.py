"""Ending a task from outside where no process can be ended for it: by an exception in its thread."""

from __future__ import annotations

import ctypes
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from celery.exceptions import SoftTimeLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["GaveWay", "GivenBack", "Interrupted", "Interruptible", "Superseded", "interruptible", "raise_in_thread"]

_set_async_exc: Final = ctypes.pythonapi.PyThreadState_SetAsyncExc


class Interrupted(BaseException):
    """Raised in a task that has to end now: no ``Exception``, which tasks catch and retries begin with."""


class GivenBack(BaseException):
    """Ends a task as if it had not begun: it has neither failed nor succeeded, and others may have its message.

    Args:
        counted: whether that counts as a delivery.
    """

    def __init__(self, *, counted: bool = False) -> None:
        super().__init__()
        self.counted = counted


class GaveWay(GivenBack):
    """Ends a task that goes on elsewhere, because its worker ends."""


class Superseded(BaseException):
    """Ends a task that runs elsewhere by now: this worker was taken for dead, and what it does is done there again."""


_OURS: Final = (Interrupted, SoftTimeLimitExceeded)


def raise_in_thread(ident: int, error: type[BaseException] | None) -> None:
    """Have a thread raise ``error`` before its next step in Python, or no longer raise what it has not raised yet."""
    _set_async_exc(ctypes.c_ulong(ident), ctypes.py_object(error) if error is not None else None)


class Interruptible:
    """The time in which a task's own code runs in one thread, and may be interrupted there.

    What surrounds that code is not interrupted: a result is stored in full or not at all.

    Args:
        deliver: has an error raised in a thread, and given ``None`` no longer; told the thread's id.
    """

    def __init__(self, deliver: Callable[[int, type[BaseException] | None], None] = raise_in_thread) -> None:
        self.reason: BaseException | None = None
        """What is raised around the task's code once that was left by :class:`Interrupted`."""
        self.soft: float | None = None
        """Seconds of the soft limit, told to who catches it."""
        self.interrupted = False
        """Whether the task's code was left for the reason."""
        self._deliver = deliver
        self._ident = 0
        self._open = False
        self._sent = False
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether the task's code runs."""
        return self._open

    def interrupt(self, error: type[BaseException]) -> None:
        """Raise an error in the task's code, if it runs. Not from a signal's handler."""
        with self._lock:
            if self._open:
                self._sent = True
                self._deliver(self._ident, error)

    def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the task's code.

        Raises:
            BaseException: the reason, where it was interrupted; else what the code raises.
        """
        if self._ident:  # a task that calls another as a function
            return call(*args, **kwargs)
        self._ident = threading.get_ident()
        outcome: Any = None
        error: BaseException | None = None
        try:
            self._open = True
            if self.reason is not None:
                raise Interrupted  # noqa: TRY301  it came before the code began
            outcome = call(*args, **kwargs)
        except BaseException as caught:  # noqa: BLE001  raised again below
            error = caught
        while self._open or self._sent:
            try:
                self._close()
            except _OURS:  # too late: the code has ended
                continue
        if error is None:
            return outcome  # type: ignore[no-any-return]
        try:
            if self.reason is not None and _came_of(error):
                self.interrupted = True
                raise self.reason from None
            if isinstance(error, SoftTimeLimitExceeded) and not error.args and self.soft is not None:
                error.args = (self.soft,)  # a thread is told a class, no instance
            raise error
        finally:
            del error  # else it and this frame would hold each other

    def _close(self) -> None:
        with self._lock:
            self._open = False
        if self._sent:
            self._deliver(self._ident, None)
            self._sent = False


def _came_of(error: BaseException | None) -> bool:
    """Whether an error is, or was raised while handling, an interruption."""
    while error is not None:
        if isinstance(error, Interrupted):
            return True
        error = error.__context__
    return False


interruptible: ContextVar[Interruptible | None] = ContextVar("celeriac_interruptible", default=None)
"""Of the task that runs in this thread; ``None`` where its process is ended instead."""
