"""The goals, and what was reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.runs import Runs

__all__ = ["goals"]

OURS, CELERY = "celeriac", "celery"
_TABLE = (
    # measure, figure, times plain Celery, times the fastest peer, how it reads
    ("enqueue", "single_rate", 6.0, 1.0, "`delay()`, calls/s"),
    ("enqueue", "bulk_rate", 40.0, 8.0, "many at once, tasks/s"),
    ("drain", "rate", 10.0, 2.5, "drain with results, tasks/s"),
    ("silent", "rate", None, None, "drain without results, tasks/s"),
    ("canvas", "group_rate", None, None, "group of 1,000, members/s"),
    ("canvas", "chord_rate", None, None, "chord of 1,000, members/s"),
)
_COMMANDS, _ROUND_TRIPS, _BACKLOG, _ETA = 4.0, 0.3, 0.95, 20.0


def goals(runs: Runs) -> Iterator[tuple[str, ...]]:
    """Rows of: reached, goal, what, celeriac's figure, against whom, their figure; none for what was not measured."""
    for measure, figure, times_celery, times_peer, what in _TABLE:
        yield from _ratio(runs, measure, figure, CELERY, times_celery, what)
        yield from _ratio(runs, measure, figure, _best(runs, measure, figure), times_peer, what)
    for figure, what in (("p50_ms", "round trip, median, ms"), ("p99_ms", "round trip, 99th percentile, ms")):
        best = _best(runs, "latency", figure, most=False)
        yield from _ratio(runs, "latency", figure, best, 1.0, what, least=False)
    yield from _backlog(runs)
    grown = runs.median("eta", OURS, "grown_mib")
    if grown is not None:
        theirs = runs.median("eta", CELERY, "grown_mib")
        parked = runs.median("eta", OURS, "parked") or 0
        cells = ("", "") if theirs is None else (CELERY, f"{theirs:.1f}")
        yield (
            f"{grown:+.1f} MiB",
            f"less than {_ETA:.0f}",
            f"memory for {parked:,.0f} ETA tasks, MiB",
            f"{grown:.1f}",
            *cells,
        )
    for figure, most, what in (("commands", _COMMANDS, "commands"), ("reads", _ROUND_TRIPS, "round trips")):
        sent, ran = runs.median("enqueue", OURS, f"bulk_{figure}"), runs.median("drain", OURS, figure)
        if sent is not None and ran is not None:
            theirs = (runs.median("enqueue", CELERY, f"bulk_{figure}") or 0) + (
                runs.median("drain", CELERY, figure) or 0
            )
            said = f"Redis {what} a task, sent by `enqueue_many`, run, result stored"
            yield f"{sent + ran:.2f}", f"at most {most:g}", said, f"{sent + ran:.2f}", CELERY, f"{theirs:.1f}"


def _best(runs: Runs, measure: str, figure: str, *, most: bool = True) -> str:
    """Who is ahead of all others but us and plain Celery of the same measure's goal."""
    found = {
        each: value
        for each in runs.systems(measure)
        if each not in {OURS, CELERY} and (value := runs.median(measure, each, figure)) is not None
    }
    if not found:
        return ""
    return (max if most else min)(found, key=lambda each: found[each])


def _ratio(  # noqa: PLR0917 - one cell of the goals each
    runs: Runs, measure: str, figure: str, against: str, goal: float | None, what: str, *, least: bool = True
) -> Iterator[tuple[str, ...]]:
    ratio = runs.ratio(measure, figure, OURS, against)
    mine, theirs = runs.median(measure, OURS, figure), runs.median(measure, against, figure)
    if ratio is None or mine is None or theirs is None:
        return
    said = "" if goal is None else f"{'at least' if least else 'below'} {goal:g}"
    digits = ",.0f" if least else ".2f"
    yield f"{ratio:.2f}", said, what, format(mine, digits), against, format(theirs, digits)


def _backlog(runs: Runs) -> Iterator[tuple[str, ...]]:
    for system in runs.systems("backlog"):
        figures = sorted(
            {name for run in runs.runs if run.measure == "backlog" for name in run.figures},
            key=lambda name: int(name.removeprefix("rate_")),
        )
        short, long = figures[0], figures[-1]
        few, many = runs.by_round("backlog", system, short), runs.by_round("backlog", system, long)
        ratios = sorted(many[each] / few[each] for each in few if each in many)
        if not ratios:
            continue
        queued = [f"{int(name.removeprefix('rate_')):,}" for name in (long, short)]
        goal = f"at least {_BACKLOG}" if system == OURS else ""
        rates = [f"{runs.median('backlog', system, name) or 0:,.0f}" for name in (long, short)]
        what = f"{system}: drain with {queued[0]} queued, tasks/s"
        yield f"{ratios[len(ratios) // 2]:.2f}", goal, what, rates[0], f"with {queued[1]}", rates[1]
