"""The round trip: one caller, one call at a time, the workers otherwise idle."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.processes import Ledger

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["latency"]


def latency(bench: Bench, system: System) -> dict[str, float]:
    """Milliseconds from the call to the result: median and 99th percentile."""
    bench.server.empty()
    with (
        Ledger() as ledger,
        bench.workers(system, ledger, "latency"),
        bench.producer(system, "ask", max(int(bench.size.calls * system.calls), 20)) as producer,
    ):
        spent: list[float] = producer.go()["value"]
    return {"p50_ms": median(spent) * 1e3, "p99_ms": quantiles(spent, n=100)[-1] * 1e3}
