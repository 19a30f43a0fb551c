"""The one event loop of a process that runs coroutines of tasks."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar
from weakref import WeakKeyDictionary

from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from celeriac.tasks.interruption import GivenBack, Interrupted, raise_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

R = TypeVar("R")

__all__ = ["Bounds", "EventLoopThread", "bounds", "run_coroutine", "when_stuck"]

UNWIND = 10.0
"""Seconds that an interrupted coroutine gets to run its ``finally`` blocks."""
_ANSWER: Final = 1.0
"""Seconds in which a loop that nothing blocks has answered."""


class Bounds:
    """How long the thread that waits for a coroutine goes on waiting: time limits without a process to signal or kill.

    Args:
        soft: seconds after which the coroutine is cancelled and ``SoftTimeLimitExceeded`` raised, or ``None``.
        hard: seconds after which it is left to itself and ``TimeLimitExceeded`` raised, or ``None``.
    """

    def __init__(self, soft: float | None = None, hard: float | None = None) -> None:
        now = time.monotonic()
        self._soft, self._hard = soft, hard
        self._soft_at = now + soft if soft else None
        self._hard_at = now + hard if hard else None
        self._reason: BaseException | None = None
        self._unwinds = True
        self._future: Future[Any] | None = None

    def interrupt(self, reason: BaseException, *, unwinds: bool = True) -> None:
        """Cancel the coroutine, and raise this where it is waited for. From any thread.

        Args:
            reason: what is raised.
            unwinds: whether its ``finally`` blocks are waited for.
        """
        self._unwinds = unwinds
        self._reason = reason
        if self._future is not None:
            self._future.cancel()

    def wait(self, future: Future[R], ended: threading.Event) -> R:
        """The coroutine's result; ``ended`` is set when the last of its ``finally`` blocks has run."""
        self._future = future
        if self._reason is not None:
            future.cancel()
        first = min((at for at in (self._soft_at, self._hard_at) if at is not None), default=None)
        try:
            return future.result(None if first is None else max(first - time.monotonic(), 0.0))
        except CancelledError:
            if self._reason is None:
                raise
            if self._unwinds:
                ended.wait(self._unwinding())
            raise self._reason from None
        except TimeoutError:
            if future.done():  # it is the coroutine's own
                raise
            future.cancel()
            self._struck(ended)

    def _struck(self, ended: threading.Event) -> NoReturn:
        soft = self._soft_at is not None and time.monotonic() >= self._soft_at
        unwound = ended.wait(self._unwinding())
        late = self._hard_at is not None and time.monotonic() >= self._hard_at
        if soft and (unwound or not late):
            raise SoftTimeLimitExceeded(self._soft)
        raise TimeLimitExceeded(self._hard)

    def _unwinding(self) -> float:
        return UNWIND if self._hard_at is None else max(min(UNWIND, self._hard_at - time.monotonic()), 0.0)


bounds: ContextVar[Bounds | None] = ContextVar("celeriac_bounds", default=None)
"""Of the task that runs in this thread; ``None`` where something else enforces its limits."""


class EventLoopThread:
    """An event loop in a thread of its own, as long-lived as the process.

    Connection pools that belong to a loop so stay usable from task to task, which they do not when each task runs a new
    loop. Tasks of the threads pool share it and overlap.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._limits: WeakKeyDictionary[Any, Bounds] = WeakKeyDictionary()
        self._thread = threading.Thread(target=self._serve, name="celeriac-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        while True:
            try:
                self.loop.run_forever()
            except Interrupted:  # meant for a coroutine that let go of the loop just then
                continue

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine to its end, with the caller's context variables, while this thread waits.

        Whatever interrupts the wait, such as a soft time limit, cancels the coroutine, lets it unwind, and is raised.

        Raises:
            GivenBack: it was over its limit because another one blocks the loop.
        """
        ended = threading.Event()
        limits = bounds.get()

        async def watched() -> R:
            if limits is not None:
                self._limits[asyncio.current_task()] = limits
            try:
                return await coroutine
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(watched(), self.loop)
        if limits is not None:
            return self._within(limits, future, ended)
        try:
            return future.result()
        except BaseException:
            if not ended.is_set():
                future.cancel()
                ended.wait(UNWIND)
            raise

    def _within(self, limits: Bounds, future: Future[R], ended: threading.Event) -> R:
        try:
            return limits.wait(future, ended)
        except (SoftTimeLimitExceeded, TimeLimitExceeded):
            if ended.is_set() or self._answers():
                raise
            blocker = self._blocker()
            _hooks[-1](self, blocker, limits)
            if blocker is None or blocker is limits:
                raise
            raise GivenBack from None

    def _answers(self) -> bool:
        """Whether the loop goes round. One that a coroutine blocks can neither cancel it nor run another."""
        answered = threading.Event()
        self.loop.call_soon_threadsafe(answered.set)
        return answered.wait(_ANSWER)

    def _blocker(self) -> Bounds | None:
        """The limits of who is in the loop's hands, as far as that is known."""
        task: Any = asyncio.current_task(self.loop)
        if task is None:
            return None
        known = self._limits.get(task)
        context = getattr(task, "get_context", None)  # since Python 3.12: also of what a coroutine has begun
        return context().get(bounds) if known is None and context is not None else known

    def break_off(self) -> None:
        """Raise in whatever blocks the loop, once it takes a step in Python."""
        raise_in_thread(self._thread.ident or 0, Interrupted)


def _break_off(loop: EventLoopThread, blocker: Bounds | None, limits: Bounds) -> None:
    if blocker is limits:
        loop.break_off()


_hooks: list[Callable[[EventLoopThread, Bounds | None, Bounds], None]] = [_break_off]


def when_stuck(call: Callable[[Bounds | None], None]) -> None:
    """Have this called, from now on, when the loop of this process is blocked for longer than a coroutine may take.

    It hears the limits of the coroutine that blocks the loop, if that is known. Where nobody asked for it, that one is
    interrupted before its next step in Python.
    """
    _hooks.append(lambda _loop, blocker, _limits: call(blocker))


@cache
def _of_process(process: int) -> EventLoopThread:
    """One a process: a thread does not survive a fork."""
    del process
    return EventLoopThread()


def run_coroutine(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine on the process's loop and wait for it."""
    return _of_process(os.getpid()).run(coroutine)
