"""What is measured. Each measure takes a bench and a system, and returns its figures by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measures.backlog import backlog
from benchmarks.measures.canvas import canvas
from benchmarks.measures.drain import drain, silent
from benchmarks.measures.enqueue import enqueue
from benchmarks.measures.eta import eta
from benchmarks.measures.history import history
from benchmarks.measures.latency import latency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["MEASURES"]

MEASURES: Mapping[str, Callable[[Bench, System], dict[str, float]]] = {
    "enqueue": enqueue,
    "drain": drain,
    "silent": silent,
    "latency": latency,
    "backlog": backlog,
    "eta": eta,
    "canvas": canvas,
    "history": history,
}
