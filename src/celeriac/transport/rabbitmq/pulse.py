"""Signs of life for connections whose thread is busy with a task.

The server takes back what a silent connection holds. A worker that runs its tasks in the thread that also talks to the
server would be silent for as long as a task lasts, and the task would run twice.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["Beating", "keep_alive"]


class Beating(Protocol):
    """A connection that can say that it lives."""

    heartbeat: Any

    @property
    def connected(self) -> bool:
        """Whether it is open."""
        ...

    def beat(self) -> None:
        """Say so, if that is due."""
        ...


class _Pulse:
    """One thread per process, as soon as there is a connection with a heartbeat."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: WeakSet[Beating] = WeakSet()
        self._thread: threading.Thread | None = None

    def add(self, connection: Beating) -> None:
        with self._lock:
            self._connections.add(connection)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="celeriac-amqp-pulse", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                connections = [each for each in self._connections if each.connected]
            for connection in connections:
                # Whatever is wrong with it, the thread that uses it finds out by itself.
                with suppress(Exception):
                    connection.beat()
            heartbeats = [each.heartbeat for each in connections if each.heartbeat]
            del connections
            time.sleep(max(min(heartbeats, default=4.0) / 4, 0.25))


_pulse = _Pulse()


def keep_alive(connection: Beating) -> None:
    """Send heartbeats for a connection as long as it is open, whatever its own thread does."""
    _pulse.add(connection)


def _forget_the_parents() -> None:
    global _pulse  # noqa: PLW0603  a child has none of its parent's threads, and must not write to its sockets
    _pulse = _Pulse()


os.register_at_fork(after_in_child=_forget_the_parents)
