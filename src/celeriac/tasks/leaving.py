"""Whether this process is about to end, for tasks that can go on elsewhere."""

from __future__ import annotations

import mmap
import threading

__all__ = ["are_told", "is_leaving", "leave", "stay", "tell_children"]

_leaving = threading.Event()
_told: mmap.mmap | None = None


def is_leaving() -> bool:
    """Whether this worker process begins no more tasks, and ends once those that run have ended."""
    return _leaving.is_set() or (_told is not None and bool(_told[0]))


def leave(*_: object, **__: object) -> None:
    """Have tasks give way from now on. From any thread, and as the receiver of one of Celery's signals."""
    _leaving.set()
    if _told is not None:
        _told[0] = 1


def stay() -> None:
    """A worker begins in this process: nothing is known of an end."""
    _leaving.clear()


def tell_children() -> None:
    """Have processes that are forked from here on know what this one knows: they run its tasks."""
    global _told  # noqa: PLW0603  one for each process
    _told = mmap.mmap(-1, 1)


def are_told() -> bool:
    """Whether this process runs, or hands to its children, messages that another process has claimed."""
    return _told is not None
