"""When a child has done enough, and how it is told to stop."""

from __future__ import annotations

import logging
import os
import resource
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from celeriac.worker.lane.slots import Slot

__all__ = ["Duty"]

logger = logging.getLogger("celery.worker.consumer")

_TRIES: Final = 5
"""How often an order is tried that the server refuses: it may be changing its role, or refuse for ever."""
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
        """What the parent wants done by the main thread, between tasks. Other threads append to it."""
        self._refused = 0
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

    def carry_out(self, desk: Any) -> None:
        """Do the first thing ordered. What meets an outage stays the first.

        Args:
            desk: knows the broker's errors.

        Raises:
            Exception: one of the broker's: call again when it is back.
        """
        outages: tuple[type[Exception], ...] = (*desk.connection_errors, *desk.channel_errors, OperationalError)
        try:
            self.orders[0]()
        except outages as error:
            self._refused += isinstance(error, desk.channel_errors)
            if self._refused >= _TRIES:
                logger.exception("an order of the parent's was refused %d times and is given up", _TRIES)
                self._carried_out()
            raise
        except Exception:
            logger.exception("an order of the parent's could not be carried out")
        self._carried_out()

    def _carried_out(self) -> None:
        self._refused = 0
        del self.orders[0]

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
