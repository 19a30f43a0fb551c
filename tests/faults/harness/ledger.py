"""What was attempted, acknowledged, started and done: written by producers and tasks, outside of all that is broken.

It is a file that everybody appends to, one short line by one ``write`` each. The kernel keeps such a line whole and in
order, whatever happens to the writer afterwards. A database would not do: a worker that is stopped in the middle of a
transaction would hold its lock, and so stop the others.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

Kind = Literal["attempted", "acknowledged", "refused", "started", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Record:
    """One line: what happened to which task, in which process, and when (seconds of the machine's monotonic clock)."""

    kind: Kind
    key: str
    pid: int
    seconds: float


class Ledger:
    """The file. Any number of processes may write, and read, at once.

    Args:
        path: the file; made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        """Let go of the file, which stays."""
        os.close(self._descriptor)

    def write(self, kind: Kind, key: str) -> None:
        """Add a line. ``key`` names the task and holds no white space."""
        os.write(self._descriptor, f"{kind} {key} {os.getpid()} {time.monotonic():.6f}\n".encode())

    def __iter__(self) -> Iterator[Record]:
        written = self.path.read_text(encoding="utf-8")
        whole = written[: written.rfind("\n") + 1]  # who reads while others write may see half of the last line
        for line in whole.splitlines():
            kind, key, pid, seconds = line.split(" ")
            yield Record(cast("Kind", kind), key, int(pid), float(seconds))

    def counts(self, kind: Kind) -> Counter[str]:
        """How often each task has such a line."""
        return Counter(record.key for record in self if record.kind == kind)
