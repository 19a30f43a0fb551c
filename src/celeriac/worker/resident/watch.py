"""The thread that holds tasks to their limits where no other process does."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celeriac.worker.resident.run import Run

__all__ = ["Watch"]

logger = logging.getLogger(__name__)


class Watch:
    """Looks at each run when it is due. It starts with the first one that can be."""

    def __init__(self) -> None:
        self.runs: dict[Run, None] = {}
        """What runs. Changed by single steps alone, which no lock has to guard."""
        # A signal's handler may wake whoever waits for this one, whatever the thread was doing that it interrupts.
        self._woken: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._looks_at = float("inf")
        self._thread: threading.Thread | None = None

    def begin(self, run: Run) -> None:
        """Watch a run, until :meth:`end`."""
        self.runs[run] = None
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="celeriac-watch", daemon=True)
            self._thread.start()
        due = run.due
        if due is not None and due < self._looks_at:
            self.wake()

    def end(self, run: Run) -> None:
        """It has ended."""
        self.runs.pop(run, None)

    def wake(self) -> None:
        """Have all looked at again."""
        self._woken.put(True)  # noqa: FBT003  whatever it is

    def stop(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._thread = None
            self._woken.put(False)  # noqa: FBT003  that it is the last

    def _serve(self) -> None:
        while True:
            now = time.monotonic()
            for run in tuple(self.runs):
                try:
                    run.look(now)
                except Exception:
                    logger.exception("the limits of %s could not be seen to", run.request.id)
            self._looks_at = float("inf")  # so that who begins from here on wakes us
            due = [at for run in tuple(self.runs) if (at := run.due) is not None]
            self._looks_at = min(due, default=float("inf"))
            try:
                pause = None if not due else max(self._looks_at - time.monotonic(), 0.0)
                if not self._woken.get(timeout=pause):
                    return
            except queue.Empty:
                continue
