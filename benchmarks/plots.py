"""``python -m benchmarks.plots RUNS.json DIRECTORY``: the drawings, made where matplotlib is."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS, OTHERS, LIGHTER = "#4d9f63", "#8d8d8d", "#c4c4c4"
LIGHT_OURS = "#9fd0ad"
INK = "#808080"  # readable on the light and on the dark page alike
mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "celeriac",
        "font.family": "sans-serif",
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
)


def bars(runs: Runs, measure: str, figures: Sequence[tuple[str, str, str]], label: str, path: Path) -> None:
    """One group of bars for each system, on a logarithmic axis. ``figures``: measure, figure, what it is."""
    names = runs.systems(measure)
    if not names:
        return
    figure, axes = plt.subplots(figsize=(8, 0.34 * len(names) + 1.1), layout="constrained")
    height = 0.8 / len(figures)
    for place, (source, key, _what) in enumerate(figures):
        for row, name in enumerate(names):
            value = runs.median(source, name, key)
            if value is None:
                continue
            colour = ((OURS, LIGHT_OURS) if name == "celeriac" else (OTHERS, LIGHTER))[place % 2]
            y = len(names) - row - place * height
            axes.barh(y, value, height=height * 0.92, color=colour)
            axes.annotate(f" {value:,.{0 if value >= 100 else 2}f}", (value, y), va="center", fontsize=7)  # noqa: PLR2004
    axes.set_yticks([len(names) - row - 0.4 + height / 2 for row in range(len(names))], names)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    tones = [f"{tone} {what}" for tone, (_, _, what) in zip(("dark", "light"), figures, strict=False)]
    axes.set_xlabel(f"{label}: {', '.join(tones)}")
    save(figure, path)


def lines(runs: Runs, path: Path) -> None:
    """The rate over the length of the queue."""
    names = runs.systems("backlog")
    if not names:
        return
    figure, axes = plt.subplots(figsize=(8, 2.8), layout="constrained")
    for name in names:
        keys = {key for run in runs.runs if run.measure == "backlog" and run.system == name for key in run.figures}
        points = sorted((int(key.removeprefix("rate_")), runs.median("backlog", name, key) or 0) for key in keys)
        axes.plot(*zip(*points, strict=True), marker="o", color=OURS if name == "celeriac" else OTHERS)
        axes.annotate(f"  {name}", points[-1], va="center", fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.15, y=0.3)
    axes.set_xlabel("messages queued")
    axes.set_ylabel("tasks/s")
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write an SVG that names no date and no other host."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(path, format="svg", transparent=True, metadata=nothing)
    plt.close(figure)
    drawn = path.read_text(encoding="utf-8")
    drawn = re.sub(r"<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    path.write_text("\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n", encoding="utf-8")


def main() -> None:
    """Draw what was saved."""
    source, directory = map(Path, sys.argv[1:])
    runs = Runs.load(source)
    single, many = ("enqueue", "single_rate", "one by one"), ("enqueue", "bulk_rate", "many at once")
    bars(runs, "enqueue", (single, many), "tasks sent a second", directory / "enqueue.svg")
    stored, silent = ("drain", "rate", "with results"), ("silent", "rate", "without")
    bars(runs, "drain", (stored, silent), "tasks run a second", directory / "drain.svg")
    half, most = ("latency", "p50_ms", "median"), ("latency", "p99_ms", "99th percentile")
    bars(runs, "latency", (half, most), "round trip in ms", directory / "latency.svg")
    lines(runs, directory / "backlog.svg")


if __name__ == "__main__":
    main()
