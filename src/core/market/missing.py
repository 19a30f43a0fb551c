"""Which prices are missing."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Iterator
from datetime import date, timedelta
from typing import Final

from core.market.entities import Span

__all__ = ["missing"]

_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


def missing(known: Collection[date], trading_days: Collection[date], whole: Span) -> list[Span]:
    """The days to ask the source for, that it is asked for nothing twice.

    The days after the last known one are missing, and so are gaps before it. No calendar says when the market was open,
    the other symbols do: a gap is a day from Monday to Friday on which another symbol has a price, and this one has
    prices before and after it. A holiday, when nobody has one, is no gap. Days before the first known price are
    none either: the symbol was not traded yet.

    Args:
        known: the days that this symbol has a price for.
        trading_days: the days that any symbol has a price for.
        whole: all days that count.
    """
    if not known:
        return [whole]
    first, last = min(known), max(known)
    gaps = sorted(
        day
        for day in trading_days
        if first < day < last and day not in known and day.weekday() < _SATURDAY and day in whole
    )
    spans = list(_joined(gaps, known))
    if last < whole.last:
        spans.append(Span(max(last + _DAY, whole.first), whole.last))
    return spans


def _joined(gaps: list[date], known: Collection[date]) -> Iterator[Span]:
    """Gaps with no known day between them are asked for at once."""
    ordered = sorted(known)
    run: list[date] = []
    for gap in gaps:
        if run and bisect(ordered, run[-1]) != bisect(ordered, gap):
            yield Span(run[0], run[-1])
            run = []
        run.append(gap)
    if run:
        yield Span(run[0], run[-1])
