"""Waiting for what must happen, with a deadline and without a fixed pause."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.05
_PORTS = range(12_000, 30_000)


def until(happens: Callable[[], T | None], *, timeout: float = 20.0, what: str = "it") -> T:
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
    """A port of 127.0.0.1 that nobody listens on now, and that no outgoing connection is given meanwhile.

    A server that is down keeps its port for its next start. Were it one of those that the kernel hands out, another
    connection might take it, or a client might even connect to itself.
    """
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
