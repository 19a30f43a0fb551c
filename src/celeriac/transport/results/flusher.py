"""The thread that stores what nobody else stores in time."""

from __future__ import annotations

import threading
import time
from typing import Any, Final, Protocol
from weakref import ref

__all__ = ["Flusher", "Stores"]

TICK: Final = 0.002
"""Seconds between two looks while results come in: what is found twice is stored, so none waits for two and a half."""
MOST_LOOKS: Final = 10
"""Looks at which something may wait in a row: reports that replace each other in time for each look are never older."""
LINGER: Final = 0.05
"""Seconds that it keeps looking once nothing waits, so that a steady trickle need not wake it each time."""
IDLE: Final = 10.0
"""Seconds without work after which the thread ends; the next result starts another."""


class Stores(Protocol):
    """What is flushed."""

    @property
    def coalesce(self) -> bool:
        """Whether results may wait for others."""
        ...

    def pause(self) -> float:
        """Seconds for which there is no use in trying."""
        ...

    def oldest(self) -> int | None:
        """The number of what waits longest, or ``None``."""
        ...

    def newest(self) -> int:
        """The number of what came last."""
        ...

    def attempt(self) -> Any:
        """Store what waits."""
        ...


class Flusher:
    """Started by the first result that has to wait; ends when idle, or with its writer."""

    def __init__(self, writer: Stores) -> None:
        self._writer = ref(writer)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._asleep = False
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Something waits. Costs next to nothing while the thread is at work."""
        if self._asleep:
            self._wake.set()
        elif self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="celeriac-results", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        seen, looks, quiet = 0, 0, 0.0
        while True:
            writer = self._writer()
            if writer is None:
                return
            pause = writer.pause()
            oldest = writer.oldest()
            if oldest is None:
                looks = 0
                quiet += TICK
                if quiet >= LINGER:
                    if not self._sleep():
                        return
                    quiet = 0.0
            elif pause:
                del writer  # whoever lets go of it need not wait for us
                time.sleep(min(pause, 0.1))
                continue
            else:
                quiet = 0.0
                looks += 1
                if oldest <= seen or looks >= MOST_LOOKS or not writer.coalesce:
                    writer.attempt()
                    looks = 0
            seen = writer.newest()
            del writer
            time.sleep(TICK)

    def _sleep(self) -> bool:
        """Until there is work; ``False`` if there is none for long."""
        self._wake.clear()
        self._asleep = True
        try:
            writer = self._writer()
            if writer is None or writer.oldest() is not None:
                return writer is not None
            del writer
            if self._wake.wait(IDLE):
                return True
            with self._lock:
                # In this order: whoever puts something from here on starts another thread, unless we find it ourselves.
                this, self._thread, self._asleep = self._thread, None, False
                writer = self._writer()
                if writer is not None and writer.oldest() is not None:
                    self._thread = this
                    return True
                return False
        finally:
            self._asleep = False
