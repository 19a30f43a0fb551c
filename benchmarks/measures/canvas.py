"""Groups and chords, from the call to the last result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.processes import Ledger

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["canvas"]


def canvas(bench: Bench, system: System) -> dict[str, float]:
    """Members a second: ``group_rate``, ``chord_rate``."""
    bench.server.empty()
    members = bench.size.members
    figures: dict[str, float] = {}
    with Ledger() as ledger, bench.workers(system, ledger):
        with bench.producer(system, "ask", 1) as producer:  # the workers are at work
            producer.go()
        for operation in ("group", "chord"):
            with bench.producer(system, operation, members) as producer:
                figures[f"{operation}_rate"] = members / producer.go()["wall"]
    return figures
