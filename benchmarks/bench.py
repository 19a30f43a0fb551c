"""The bench: one server, how much is run, and how the processes of a system are started on it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.processes import PATIENCE, Ledger, Producer, Workers
from benchmarks.systems import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.server import BenchServer
    from benchmarks.systems import System

__all__ = ["Bench", "Size", "until"]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run.

    Attributes:
        tasks: that the fastest system runs at once; each other runs its share.
        calls: whose round trip is measured.
        held: how many tasks wait while the drain is measured, in turn.
        parked: tasks with an ETA.
        members: of a group and of a chord.
    """

    tasks: int = 20_000
    calls: int = 1_000
    held: Sequence[int] = (1_000, 100_000, 1_000_000)
    parked: int = 10_000
    members: int = 1_000


class Bench:
    """One server and the ways to start processes on it."""

    def __init__(self, server: BenchServer, size: Size) -> None:
        self.server = server
        self.size = size

    def tasks(self, system: System) -> int:
        """How many tasks this system runs."""
        return max(int(self.size.tasks * system.share), 100)

    def producer(self, system: System, operation: str, count: int, *, results: bool = True) -> Producer:
        """A process that will do this when it is told to."""
        environment = self._environment(system, operation, results=results)
        return Producer(system.python, system.module, operation, count, environment)

    def fill(self, system: System, count: int, *, results: bool = True) -> None:
        """Send so many pings, and no more."""
        with self.producer(system, "fill", count, results=results) as producer:
            producer.go()

    def workers(self, system: System, ledger: Ledger, measure: str = "", *, results: bool = True) -> Workers:
        """The system's workers, starting."""
        commands = [[word.replace("{url}", self.server.url) for word in command] for command in system.workers]
        environment = self._environment(system, measure, results=results)
        return Workers(commands, environment | {"BENCH_LEDGER": ledger.path})

    def _environment(self, system: System, measure: str, *, results: bool) -> dict[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")] if system.ours else [str(ROOT)]),
            "BENCH_URL": self.server.url,
            "BENCH_RESULTS": "1" if results else "0",
            "BENCH_MEASURE": "latency" if measure in {"ask", "latency"} else measure,
            # Celeriac's own variables. The server is unsafe on purpose: no system is to wait for a disk.
            "REDIS_URL": self.server.url,
            "ENVIRONMENT": "production",
            "LOGGING_LEVEL": "WARNING",
            "CELERY_BROKER_ALLOW_UNSAFE": "true",
            "CELERY_TASK_IGNORE_RESULT": "false" if results else "true",
            **dict(system.environment),
        }


def until(reached: Callable[[], bool], workers: Workers, what: str, *, every: float = 0.002) -> None:
    """Wait for something that the workers do.

    Raises:
        TimeoutError: it did not happen; the workers' log is in the error.
        RuntimeError: a worker ended.
    """
    deadline = time.monotonic() + PATIENCE
    while not reached():
        workers.check()
        if time.monotonic() > deadline:
            msg = f"{what} within {PATIENCE:.0f} s did not happen:\n{workers.log()}"
            raise TimeoutError(msg)
        time.sleep(every)
