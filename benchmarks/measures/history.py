"""What a history costs: sending and running without one, with one that is told, and with one that is written as well.

The three take turns. What a worker spends on writing is spent in its main process, beside the processes that run tasks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.measures.drain import drain
from benchmarks.measures.enqueue import enqueue

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.systems import System

__all__ = ["history"]

_KEPT = {"single_cpu_us": "single", "bulk_cpu_us": "bulk", "cpu_us": "run", "rate": "rate"}


def history(bench: Bench, system: System) -> dict[str, float]:
    """Microseconds of CPU of a call, one of many, a run, and runs a second: ``off_*``, ``told_*``, ``written_*``."""
    told = ("CELERY_HISTORY_ENABLED", "true")
    figures: dict[str, float] = {}
    with TemporaryDirectory(prefix="celeriac-bench-") as directory:
        written = ("DATABASE_URL", f"sqlite:///{Path(directory) / 'history.db'}")
        for name, more in (("off", ()), ("told", (told,)), ("written", (told, written))):
            each = replace(system, environment=(*system.environment, *more))
            # The database makes no difference to who only sends.
            found = drain(bench, each) | ({} if name == "written" else enqueue(bench, each))
            figures |= {f"{name}_{short}": found[figure] for figure, short in _KEPT.items() if figure in found}
    return figures
