"""How long a publish may take in all, over every wait that it is made of."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Unconfirmed", "remaining", "within"]

_deadline: ContextVar[float | None] = ContextVar("celeriac_publish_deadline", default=None)


class Unconfirmed(OperationalError):
    """The server may have the message, and has not said so in time."""


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Everything in here that waits for RabbitMQ shares so many seconds; an outer budget still holds."""
    deadline = time.monotonic() + seconds
    outer = _deadline.get()
    token = _deadline.set(deadline if outer is None else min(outer, deadline))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Seconds that are left, 0 when none are, ``None`` where nobody counts."""
    deadline = _deadline.get()
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)
