"""Counts what tasks were begun, outside of Redis and of the system that runs them."""

from __future__ import annotations

import os

__all__ = ["Result", "mark", "ping"]

Result = dict[str, str]

_directory = os.environ.get("BENCH_LEDGER", "")
_file = -1


def _open() -> None:
    """One file for each process. Appending a byte is one system call of about a microsecond, and exact."""
    global _file  # noqa: PLW0603 - a descriptor belongs to its process
    if _directory:
        _file = os.open(f"{_directory}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def mark() -> None:
    """Count one task."""
    if _file >= 0:
        os.write(_file, b".")


def ping() -> Result:
    """The task that every system runs."""
    mark()
    return {"result": "pong"}


_open()
os.register_at_fork(after_in_child=_open)
