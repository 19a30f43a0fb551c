"""Ways in which a task can end its process, or try to."""

from __future__ import annotations

import ctypes
import itertools
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

__all__ = ["DEADLY", "MILD", "POISONS"]


class Unruly(BaseException):
    """An error that ``except Exception`` does not see."""


def _exit_at_once() -> None:
    os._exit(1)


def _killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _segmentation_fault() -> None:
    ctypes.string_at(0)


def _sys_exit() -> None:
    sys.exit(3)


def _raises_memory_error() -> None:
    raise MemoryError


def _memory_limit() -> None:
    """What a task meets whose process may have no more memory: the real thing, not a raised one."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as sizes:  # noqa: PTH123  a file of the kernel's
        now = int(sizes.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), before[1]))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _recursion() -> None:
    _recursion()


def _unserialisable() -> Any:
    return object()


def _base_exception() -> None:
    raise Unruly


def _generator_exit() -> None:
    raise GeneratorExit


def _keyboard_interrupt() -> None:
    raise KeyboardInterrupt


def _endless_in_c() -> None:
    """A loop that no signal handler of Python's ever interrupts."""
    deque(itertools.repeat(0), maxlen=0)


def _swallows_everything() -> None:
    """A task that takes every error for its own business, time limits included."""
    while True:
        with suppress(BaseException):
            time.sleep(60)


DEADLY: Mapping[str, Callable[[], Any]] = {
    "os._exit": _exit_at_once,
    "SIGKILL": _killed,
    "SIGSEGV": _segmentation_fault,
}
"""These take the process with them, whatever surrounds them."""

MILD: Mapping[str, Callable[[], Any]] = {
    "sys.exit": _sys_exit,
    "MemoryError": _raises_memory_error,
    "RLIMIT_AS": _memory_limit,
    "RecursionError": _recursion,
    "unserialisable": _unserialisable,
    "BaseException": _base_exception,
    "GeneratorExit": _generator_exit,
    "KeyboardInterrupt": _keyboard_interrupt,
}
"""These must end the task and nothing else."""

POISONS = {**DEADLY, **MILD, "endless-in-C": _endless_in_c, "swallows-everything": _swallows_everything}
