"""``python -m benchmarks [measure ...]``: every system on one Redis server of its own, taking turns.

Without a measure it takes all of them. ``spine`` is the typed layer against plain Celery of the same options, ``door``
the HTTP server; the others are in benchmarks/measures.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench import Bench, Size
from benchmarks.door import Door
from benchmarks.machine import machine
from benchmarks.measures import MEASURES
from benchmarks.runs import Run, Runs
from benchmarks.server import BenchServer
from benchmarks.spine import Spine
from benchmarks.systems import ROOT, SYSTEMS, System, bench_python
from benchmarks.table import report, section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.table import Row

_PAGE = ROOT / "docs/reference/performance.md"
_ASSETS = ROOT / "docs/assets/benchmarks"
_PLACE = re.compile(r"(<!-- benchmarks: begin -->\n).*?(<!-- benchmarks: end -->)", re.DOTALL)
_SMOKE = Size(tasks=500, calls=20, held=(1_000, 3_000), parked=100, members=20)


def main() -> None:
    """Measure, print, draw; the exit code is 1 when something could not be measured."""
    said = _arguments()
    signal.signal(signal.SIGTERM, _end)
    started = time.monotonic()
    size = _SMOKE if said.smoke else Size(tasks=said.tasks)
    rounds = 1 if said.smoke else said.rounds
    systems = [system for system in SYSTEMS if not said.systems or system.name in said.systems]
    if said.smoke:  # each once, whatever its settings
        systems = list({system.module: system for system in reversed(systems)}.values())[::-1]
    with BenchServer(persistent=said.persistent) as server:
        runs = Runs(machine(server, persistent=said.persistent))
        bench = Bench(server, size)
        for measure in said.measures:
            if measure in MEASURES:
                _measure(bench, measure, [each for each in systems if measure in each.measures], rounds, runs)
        if "spine" in said.measures:
            spine = Spine(server.url, rounds, min(size.tasks, 1_000))
            _section(server, runs, "spine", "The typed layer alone", "Celery", spine.rows, spine.resolve)
        if "door" in said.measures:
            door = Door(server.url, rounds)
            _section(server, runs, "door", "Over HTTP", "the other", door.rows, door.streams)
    minutes = (time.monotonic() - started) / 60
    runs.machine["Runs"] = f"medians of {rounds}, taken in turn; {minutes:.0f} minutes in all"
    if said.publish:
        runs.keep(Runs.load(_ASSETS / "runs.json"), but=said.measures)
    text = report(runs)
    print(text)
    _keep(runs, text, said.output, publish=said.publish)
    sys.exit(1 if runs.failures else 0)


def _end(number: int, _frame: object) -> None:
    """Leave as if by an error, so that server and workers end with us."""
    sys.exit(128 + number)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = [*MEASURES, "spine", "door"]
    parser.add_argument("measures", nargs="*", metavar="measure", help=f"of {', '.join(every)} (all)")
    parser.add_argument("--rounds", type=int, default=3, help="how many runs each figure is the median of (3)")
    parser.add_argument("--tasks", type=int, default=20_000, help="tasks of a run, slow systems run a share (20000)")
    names = ", ".join(f"'{system.name}'" for system in SYSTEMS)
    parser.add_argument(
        "--systems", type=lambda text: text.split(";"), help=f"separated by semicolons, of {names} (all)"
    )
    parser.add_argument("--persistent", action="store_true", help="let Redis write an append-only file")
    parser.add_argument("--smoke", action="store_true", help="one short round, to see that all works")
    parser.add_argument(
        "--publish", action="store_true", help="put all into the documentation; what was not measured now stays there"
    )
    parser.add_argument("--output", type=Path, default=ROOT / ".data/benchmarks", help="where all of it goes otherwise")
    said = parser.parse_args()
    said.measures = said.measures or every
    if unknown := set(said.measures) - set(every):
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    if unknown := set(said.systems or ()) - {system.name for system in SYSTEMS}:
        parser.error(f"no such system: {', '.join(sorted(unknown))}")
    return said


def _measure(bench: Bench, measure: str, systems: list[System], rounds: int, runs: Runs) -> None:
    """One measure of each system in turn, and that so many times."""
    for number in range(1, rounds + 1):
        for system in systems:
            started = time.monotonic()
            try:
                figures = MEASURES[measure](bench, system)
            except (RuntimeError, TimeoutError) as failed:
                _failed(runs, f"{measure} of {system.name}", failed)
                continue
            runs.runs.append(Run(measure, system.name, number, figures))
            shown = ", ".join(f"{name} {value:,.2f}" for name, value in figures.items())
            seconds = time.monotonic() - started
            print(f"{number} {measure} {system.name} ({seconds:.0f} s): {shown}", file=sys.stderr, flush=True)


def _section(  # noqa: PLR0917  what is measured, and how it is shown
    server: BenchServer,
    runs: Runs,
    name: str,
    title: str,
    against: str,
    measured: Callable[[], Iterator[Row]],
    note: Callable[[], str],
) -> None:
    """Comparisons with one other than the systems."""
    server.empty()
    rows: list[Row] = []
    try:
        for row in measured():
            print(" ".join(row.cells()), file=sys.stderr, flush=True)
            rows.append(row)
        runs.sections[name] = section(title, against, rows, note())
    except (RuntimeError, TimeoutError, OSError, subprocess.CalledProcessError) as failed:
        _failed(runs, name, failed)


def _failed(runs: Runs, what: str, failed: Exception) -> None:
    """Keep the last line; whoever looks on is shown some more."""
    lines = str(failed).splitlines() or [type(failed).__name__]
    runs.failures.append(f"{what}: {lines[-1]}")
    print(f"{what} failed:", *lines[-10:], sep="\n    ", file=sys.stderr, flush=True)


def _keep(runs: Runs, text: str, output: Path, *, publish: bool) -> None:
    assets = _ASSETS if publish else output
    runs.save(assets / "runs.json")
    subprocess.run([bench_python(), "-m", "benchmarks.plots", assets / "runs.json", assets], check=True, cwd=ROOT)
    if publish:
        page = _PAGE.read_text(encoding="utf-8")
        _PAGE.write_text(_PLACE.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page), encoding="utf-8")
    else:
        (assets / "table.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
