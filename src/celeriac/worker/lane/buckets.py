"""Rate limits that hold for a worker as a whole, however many processes it has."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
import time
import weakref
from typing import TYPE_CHECKING, Final

from kombu.utils.limits import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Buckets", "SharedBucket"]

_TIME: Final = struct.Struct("=d")


class Buckets:
    """When each task may start next, in memory that the children share.

    The lock of a cell is the kernel's, on a file without a name: it is let go by the death of who holds it.
    """

    def __init__(self, tasks: Iterable[str]) -> None:
        self._cells = {name: at * _TIME.size for at, name in enumerate(sorted(tasks))}
        size = max(len(self._cells), 1) * _TIME.size
        self._memory = mmap.mmap(-1, size)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the process
        os.ftruncate(self._file.fileno(), size)
        weakref.finalize(self, self._file.close)

    def take(self, task: str, interval: float) -> float:
        """Take the next start if it is due: returns 0.0, or the seconds until it is."""
        at = self._cells[task]
        fcntl.lockf(self._file, fcntl.LOCK_EX, _TIME.size, at)
        try:
            now = time.monotonic()
            (due,) = _TIME.unpack_from(self._memory, at)
            if due > now:
                return float(due - now)
            _TIME.pack_into(self._memory, at, now + interval)
            return 0.0
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _TIME.size, at)

    def knows(self, task: str) -> bool:
        """Whether the task was registered when the pool started."""
        return task in self._cells


class SharedBucket(TokenBucket):
    """Celery's bucket of one token, refilled for all children together."""

    def __init__(self, fill_rate: float, buckets: Buckets, task: str) -> None:
        super().__init__(fill_rate, capacity=1)
        self._buckets = buckets
        self._task = task
        self._wait = 0.0
        self._interval = 1 / fill_rate

    def can_consume(self, tokens: int = 1) -> bool:
        """Take the token if there is one."""
        if not self._buckets.knows(self._task):
            return bool(super().can_consume(tokens))
        self._wait = self._buckets.take(self._task, tokens * self._interval)
        return not self._wait

    def expected_time(self, tokens: int = 1) -> float:
        """Seconds until it is worth another try."""
        if not self._buckets.knows(self._task):
            return float(super().expected_time(tokens))
        return self._wait
