"""Which days a report tells of."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta

from core.reports.entities import Period, ReportKind

__all__ = ["latest", "period_of"]

_DAY = timedelta(days=1)


def period_of(kind: ReportKind, day: date) -> Period:
    """The day, week or month that ``day`` belongs to."""
    match kind:
        case "daily":
            return Period(day, day)
        case "weekly":
            monday = day - day.weekday() * _DAY
            return Period(monday, monday + 6 * _DAY)
        case "monthly":
            return Period(day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1]))


def latest(kind: ReportKind, today: date) -> Period:
    """The one that ended last: yesterday, last week, or last month."""
    return period_of(kind, period_of(kind, today).first - _DAY)
