"""A circuit breaker: once the broker is known to be out of reach, callers are told at once instead of waiting too."""

from __future__ import annotations

import time
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Breaker"]

FIRST_PAUSE: Final = 0.5
LAST_PAUSE: Final = 2.0
"""Seconds between two tries while the broker is out of reach: doubling from the first to the last."""


class Breaker:
    """Closed: everybody may try. Open: nobody. Half-open: one may, and what comes of it decides.

    A publish that used up its budget opens it. It has tried several times and over new connections by then, so one is
    enough. Safe between threads.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._pause = 0.0
        self._until: float | None = None
        self._cause = ""

    @property
    def closed(self) -> bool:
        """Whether everybody may try."""
        return self._until is None

    def refusal(self) -> str | None:
        """``None`` for whoever may try now; else why not. Whoever may try has to say what came of it.

        Of many who ask while the breaker is half-open, one is let through.
        """
        if self.closed:
            return None
        with self._lock:
            until, now = self._until, self._clock()
            if until is None:  # another thread has closed it meanwhile
                return None
            if now < until:
                return f"circuit open, next try in {until - now:.1f} s; last error: {self._cause}"
            self._until = now + self._pause  # the one that goes now is the probe; the others wait another turn
            return None

    def succeeded(self) -> None:
        """The broker answered."""
        if self._until is not None:
            with self._lock:
                self._until = None
                self._pause = 0.0

    def failed(self, cause: str) -> None:
        """The broker did not answer in time."""
        with self._lock:
            self._pause = min(self._pause * 2, LAST_PAUSE) if self._pause else FIRST_PAUSE
            self._until = self._clock() + self._pause
            self._cause = cause
