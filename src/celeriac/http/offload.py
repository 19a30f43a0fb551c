"""Blocking questions, asked beside the event loop: few at a time, and none for longer than its caller has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread

from celeriac.http.problems import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["Offload"]

THREADS: Final = 8
BUDGET: Final = 3.0
"""Seconds after which a request is answered, whatever was asked; what is still asked then is left to itself."""


class Offload:
    """Threads for one kind of question, so that a server that hangs blocks no question to another.

    Args:
        what: whom is asked, as a caller is told.
        threads: how many at a time.
        seconds: how long an answer may take, waiting for a thread included.
    """

    def __init__(self, what: str, threads: int = THREADS, seconds: float = BUDGET) -> None:
        self._what = what
        self._threads = threads
        self._seconds = seconds
        self._limiter: anyio.CapacityLimiter | None = None

    async def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Ask.

        Raises:
            ProblemError: there was no answer in time: 503.
        """
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        call = partial(function, *args, **kwargs)
        try:
            with anyio.fail_after(self._seconds):
                return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)
        except TimeoutError as error:
            if isinstance(error, ConnectionError):  # an error of ours that says more
                raise
            unavailable(f"{self._what} did not answer within {self._seconds:g} s.", error)
