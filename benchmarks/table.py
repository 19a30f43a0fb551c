"""Figures as tables, ratios first."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.goals import OURS, goals
from benchmarks.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.runs import Runs

__all__ = ["Row", "report", "section"]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison: the runs of ours and of the peer, taken in turn, in the same unit."""

    what: str
    unit: str
    ours: Sequence[float]
    peer: Sequence[float]
    goal: str
    difference: bool = False
    """Whether the goal speaks of ours minus the peer's, and not of their ratio."""

    @property
    def verdict(self) -> float:
        """The median over pairs of runs, so that a machine that slows down midway slows both."""
        pairs = zip(self.ours, self.peer, strict=True)
        return median(a - b if self.difference else a / b for a, b in pairs)

    def cells(self) -> tuple[str, ...]:
        """The row's cells, as the table's head names them."""
        sign, unit = ("+", f" {self.unit}") if self.difference and self.verdict > 0 else ("", "")
        unit = f" {self.unit}" if self.difference else unit
        figures = f"{median(self.ours):.4g}", f"{median(self.peer):.4g}"
        return (f"{sign}{self.verdict:.2f}{unit}", self.goal, self.what, *figures, self.unit)


_GOALS = ("celeriac : other", "goal", "what", "celeriac", "other", "its figure")
_TABLES = (
    (
        "Sending, one process",
        "enqueue",
        "single_rate",
        (
            ("single/s", "single_rate", ",.0f"),
            ("many/s", "bulk_rate", ",.0f"),
            ("single µs CPU", "single_cpu_us", ".0f"),
            ("many µs CPU", "bulk_cpu_us", ".0f"),
            ("single commands", "single_commands", ".1f"),
            ("single round trips", "single_reads", ".1f"),
            ("many commands", "bulk_commands", ".1f"),
            ("many round trips", "bulk_reads", ".2f"),
        ),
    ),
    (
        "Running what waits, two processes, results stored",
        "drain",
        "rate",
        (
            ("tasks/s", "rate", ",.0f"),
            ("µs CPU", "cpu_us", ".0f"),
            ("µs CPU of Redis", "redis_cpu_us", ".0f"),
            ("commands", "commands", ".1f"),
            ("round trips", "reads", ".2f"),
            ("PSS MiB", "pss_mib", ".0f"),
            ("tasks", "tasks", ",.0f"),
        ),
    ),
    (
        "Running what waits, without results",
        "silent",
        "rate",
        (
            ("tasks/s", "rate", ",.0f"),
            ("µs CPU", "cpu_us", ".0f"),
            ("commands", "commands", ".1f"),
            ("round trips", "reads", ".2f"),
            ("PSS MiB", "pss_mib", ".0f"),
            ("tasks", "tasks", ",.0f"),
        ),
    ),
    (
        "Round trip from the call to its result, idle",
        "latency",
        "p50_ms",
        (("p50 ms", "p50_ms", ".2f"), ("p99 ms", "p99_ms", ".2f")),
    ),
    (
        "Groups and chords, from the call to the last result",
        "canvas",
        "group_rate",
        (("group, members/s", "group_rate", ",.0f"), ("chord, members/s", "chord_rate", ",.0f")),
    ),
    (
        "With a history: off, told of, and written to SQLite by the same worker",
        "history",
        "off_rate",
        (
            ("call µs CPU, off", "off_single", ".1f"),
            ("told", "told_single", ".1f"),
            ("of many µs CPU, off", "off_bulk", ".1f"),
            ("told", "told_bulk", ".1f"),
            ("run µs CPU, off", "off_run", ".0f"),
            ("told", "told_run", ".0f"),
            ("written", "written_run", ".0f"),
        ),
    ),
)


def report(runs: Runs) -> str:
    """Everything that was measured, as Markdown."""
    parts = [". ".join(f"{name}: {value}" for name, value in runs.machine.items()) + "."]
    reached = list(goals(runs))
    if reached:
        parts.append(_markdown(_GOALS, reached))
    parts += _systems(runs)
    parts += runs.sections.values()
    parts += [f"Not measured: {failure}" for failure in runs.failures]
    return "\n\n".join(parts)


def section(title: str, against: str, rows: Sequence[Row], note: str) -> str:
    """Comparisons with one other, and what else there is to say, as Markdown."""
    head = (f"ours : {against}", "goal", "what", "ours", against, "unit")
    return "\n\n".join((f"### {title}", _markdown(head, [row.cells() for row in rows]), note))


def _systems(runs: Runs) -> Iterator[str]:
    said = {system.name: system for system in SYSTEMS}
    for title, measure, leading, columns in _TABLES:
        names = runs.systems(measure)
        if not names:
            continue
        rows: list[tuple[str, ...]] = []
        for name in names:
            ratio = runs.ratio(measure, leading, OURS, name)
            settings = said[name].bulk if measure == "enqueue" else said[name].settings
            figures = [_figure(runs.median(measure, name, figure), form) for _, figure, form in columns]
            rows.append(("" if ratio is None else f"{ratio:.2f}", name, settings, *figures))
        word = "how many are sent" if measure == "enqueue" else "worker"
        yield f"### {title}"
        yield _markdown(("celeriac : it", "system", word, *(column for column, _, _ in columns)), rows)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
