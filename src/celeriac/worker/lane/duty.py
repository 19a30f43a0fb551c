"""When a child has done enough, and how it is told to stop."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from celeriac.worker.lane.slots import Slot

__all__ = ["Duty"]

_PER_KIBIBYTE: Final = 1024 if sys.platform == "darwin" else 1


class Duty:
    """Whether a child goes on.

    Args:
        slot: counts the tasks it has done.
        max_tasks: after which it ends, or ``None``.
        max_memory: KiB of resident memory, at its highest, after which it ends, or ``None``.
    """

    def __init__(self, slot: Slot, max_tasks: int | None, max_memory: int | None) -> None:
        self.slot = slot
        self.max_tasks = max_tasks or 0
        self.max_memory = max_memory or 0
        self.stopping = False
        self.orders: list[Any] = []
        """What the parent wants done by the main thread, between tasks."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        os.set_blocking(self._read, False)

    def fileno(self) -> int:
        """Readable when the main thread should look up."""
        return self._read

    def wake(self) -> None:
        """Let the main thread look up, from any thread."""
        with suppress(BlockingIOError):
            os.write(self._write, b".")

    def drain(self) -> None:
        """Forget that it was woken."""
        with suppress(BlockingIOError):
            os.read(self._read, 4096)

    def stop(self) -> None:
        """Begin nothing more, from any thread."""
        self.stopping = True
        self.wake()

    def order(self, call: Any) -> None:
        """Have the main thread call this between two tasks."""
        self.orders.append(call)
        self.wake()

    @property
    def left(self) -> int:
        """Tasks that may still be begun."""
        return self.max_tasks - self.slot.starts if self.max_tasks else sys.maxsize

    @property
    def done(self) -> bool:
        """Whether the child should end."""
        if self.stopping or (self.max_tasks and self.slot.starts >= self.max_tasks):
            return True
        if not self.max_memory:
            return False
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _PER_KIBIBYTE
        return used > self.max_memory
