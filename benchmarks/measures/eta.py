"""Tasks that are due in an hour: what a worker needs to keep them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.bench import until
from benchmarks.processes import Ledger

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["eta"]

_SETTLE = 1.0


def eta(bench: Bench, system: System) -> dict[str, float]:
    """MiB that the workers grew by."""
    bench.server.empty()
    with Ledger() as ledger, bench.workers(system, ledger) as workers:
        with bench.producer(system, "ask", 20) as producer:  # at work, with all that they import
            producer.go()
        before = workers.memory()
        with bench.producer(system, "eta", bench.size.parked) as producer:
            producer.go()
        until(lambda: bench.server.client.llen(system.list_key) == 0, workers, "every message taken", every=0.05)
        time.sleep(_SETTLE)
        return {"grown_mib": workers.memory() - before, "parked": bench.size.parked}
