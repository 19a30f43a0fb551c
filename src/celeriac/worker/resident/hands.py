"""Threads that run tasks, and that a process does not wait for when it ends."""

from __future__ import annotations

import logging
import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Hands"]

logger = logging.getLogger(__name__)


class Hands:
    """Up to ``size`` daemon threads; those of ``concurrent.futures`` keep the interpreter from ending.

    Args:
        size: how many jobs run at once.
    """

    def __init__(self, size: int) -> None:
        self.threads: list[threading.Thread] = []
        self._size = size
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._dropped = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job as soon as a thread is free. Not from a signal's handler."""
        self._jobs.put(job)
        with self._lock:
            if len(self.threads) < self._size and not self._idle.acquire(blocking=False):
                thread = threading.Thread(target=self._serve, name=f"celeriac-task-{len(self.threads)}", daemon=True)
                self.threads.append(thread)
                thread.start()

    def forget(self) -> None:
        """Begin nothing of what has not begun; what is submitted from here on is."""
        ends = 0
        with suppress(queue.Empty):
            while True:
                ends += self._jobs.get_nowait() is None
        for _ in range(ends):
            self._jobs.put(None)

    def drop(self) -> None:
        """Begin nothing that has not begun, and let the threads end."""
        self._dropped = True
        for _ in self.threads:
            self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._dropped:
                try:
                    job()
                except BaseException:
                    logger.exception("a task's request could not be concluded")
            del job
            self._idle.release()
