"""When somebody asked for a publish, so that waiting for a thread counts as well."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["asked_now", "time_left"]

_asked: ContextVar[float | None] = ContextVar("celeriac_asked", default=None)


@contextmanager
def asked_now() -> Generator[None]:
    """Every publish in here, in whatever thread, was asked for now."""
    token = _asked.set(time.monotonic())
    try:
        yield
    finally:
        _asked.reset(token)


def time_left(budget: float) -> float:
    """Seconds that a publish may still take, of those that it may take in all."""
    asked = _asked.get()
    return budget if asked is None else asked + budget - time.monotonic()
