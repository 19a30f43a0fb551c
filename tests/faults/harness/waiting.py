"""Waiting for what must happen, with a deadline and without a fixed pause."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.05


def until(happens: Callable[[], T], *, timeout: float = 20.0, what: str = "it") -> T:
    """Look until something is true, and give it. ``timeout`` is a deadline in seconds, not an expectation."""
    deadline = time.monotonic() + timeout
    while not (seen := happens()):
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout:g} s"
        time.sleep(_POLL_SECONDS)
    return seen


def happens_within(happens: Callable[[], object], timeout: float) -> bool:
    """Whether something became true before the deadline."""
    deadline = time.monotonic() + timeout
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
