"""The one event loop of a process that runs coroutines of tasks."""

from __future__ import annotations

import asyncio
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

R = TypeVar("R")

__all__ = ["EventLoopThread", "run_coroutine"]

UNWIND = 10.0
"""Seconds that an interrupted coroutine gets to run its ``finally`` blocks."""


class EventLoopThread:
    """An event loop in a thread of its own, as long-lived as the process.

    Connection pools that belong to a loop so stay usable from task to task, which they do not when each task runs a new
    loop. Tasks of the threads pool share it and overlap.
    """

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="celeriac-loop", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine to its end, with the caller's context variables, while this thread waits.

        Whatever interrupts the wait, such as a soft time limit, cancels the coroutine, lets it unwind, and is raised.
        """
        ended = threading.Event()

        async def watched() -> R:
            try:
                return await coroutine
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(watched(), self.loop)
        try:
            return future.result()
        except BaseException:
            if not ended.is_set():
                future.cancel()
                ended.wait(UNWIND)
            raise


@cache
def _of_process(process: int) -> EventLoopThread:
    """One a process: a thread does not survive a fork."""
    del process
    return EventLoopThread()


def run_coroutine(coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine on the process's loop and wait for it."""
    return _of_process(os.getpid()).run(coroutine)
