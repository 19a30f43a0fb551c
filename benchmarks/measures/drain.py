"""Running what waits: the queue is filled first, then the workers are started, and their start is left out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.bench import until
from benchmarks.processes import Ledger

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["drain", "silent"]


def drain(bench: Bench, system: System) -> dict[str, float]:
    """With results stored."""
    return _drain(bench, system, results=True)


def silent(bench: Bench, system: System) -> dict[str, float]:
    """Without results."""
    return _drain(bench, system, results=False)


def _drain(bench: Bench, system: System, *, results: bool) -> dict[str, float]:
    """Tasks a second, from a tenth of the tasks (and all processes at work) to the last, and what each took."""
    bench.server.empty()
    count = bench.tasks(system)
    bench.fill(system, count, results=results)
    with Ledger() as ledger, bench.workers(system, ledger, results=results) as workers:

        def at_work() -> bool:
            sizes = ledger.sizes()
            done = sum(sizes)
            return done >= count // 2 or (done >= count // 10 and len(sizes) >= system.processes)

        until(at_work, workers, f"a tenth of {count} tasks by {system.name}")
        began, started, cpu, counted = ledger.total(), time.perf_counter(), workers.cpu(), bench.server.counted()
        until(lambda: ledger.total() >= count, workers, f"{count} tasks by {system.name}")
        seconds, done = time.perf_counter() - started, count - began
        spent, did = workers.cpu() - cpu, bench.server.counted() - counted
        memory = workers.memory()
    return {
        "rate": done / seconds,
        "cpu_us": spent / done * 1e6,
        "commands": did.commands / done,
        "reads": did.reads / done,
        "redis_cpu_us": did.cpu / done * 1e6,
        "pss_mib": memory,
        "tasks": count,
    }
