"""Sending, by one process: one by one, and many."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["enqueue"]

_SINGLES = 5
"""One by one is slower than in bulk: it gets a fraction of the tasks."""
_FASTER_BULK = {"`enqueue_many`": 5}
"""A call that pipelines is over too soon to be measured on as many tasks as the others."""


def enqueue(bench: Bench, system: System) -> dict[str, float]:
    """Tasks a second, microseconds of CPU, commands and reads a task: ``single_*`` and ``bulk_*``."""
    figures: dict[str, float] = {}
    count = max(bench.tasks(system) // _SINGLES, bench.size.tasks // 10)
    bulk = bench.tasks(system) if system.bulk not in _FASTER_BULK else max(bench.tasks(system), bench.size.tasks // 2)
    if system.bulk in _FASTER_BULK and system.module == "celeriac":
        bulk *= _FASTER_BULK[system.bulk]
    for operation, number in (("single", count), ("bulk", bulk)):
        bench.server.empty()
        with bench.producer(system, operation, number) as producer:
            before = bench.server.counted()
            spent = producer.go()
            done = bench.server.counted() - before
        figures |= {
            f"{operation}_rate": number / spent["wall"],
            f"{operation}_cpu_us": spent["cpu"] / number * 1e6,
            f"{operation}_commands": done.commands / number,
            f"{operation}_reads": done.reads / number,
        }
    return figures
