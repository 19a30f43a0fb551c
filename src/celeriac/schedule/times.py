"""Points in time: how often, or at which minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from celery.schedules import ParseException
from celery.schedules import crontab as celery_crontab
from celery.schedules import schedule as celery_schedule

from celeriac.exceptions import InvalidSchedule

__all__ = ["DAILY", "HOURLY", "MINUTELY", "WEEKLY", "CronField", "Crontab", "Interval", "cron", "crontab", "every"]

MINUTELY: Final = 60
"""Seconds in a minute."""
HOURLY: Final = 3600
"""Seconds in an hour."""
DAILY: Final = 86400
"""Seconds in a day: 24 hours, whatever the clocks do."""
WEEKLY: Final = 604800
"""Seconds in seven days."""

CronField = str | int | Iterable[int]
"""One field of a crontab: ``5``, ``"*/15"``, ``"mon-fri"`` or ``[0, 30]``."""
Interval = celery_schedule
Crontab = celery_crontab

# Each field with the lowest and highest number it takes, in the order of a cron string.
_FIELDS: Final = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day_of_month": (1, 31),
    "month_of_year": (1, 12),
    "day_of_week": (0, 6),
}


def every(
    interval: timedelta | None = None,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
    weeks: float = 0,
) -> Interval:
    """A fixed interval, counted from the last run: ``every(minutes=5)`` or ``every(timedelta(hours=1, minutes=30))``.

    Raises:
        InvalidSchedule: the interval is not longer than zero.
    """
    parts = {"seconds": seconds, "minutes": minutes, "hours": hours, "days": days, "weeks": weeks}
    said = {unit: number for unit, number in parts.items() if number != 0}
    shown = [f"{unit}={number!r}" for unit, number in (said or {"seconds": seconds}).items()]
    text = f"every({', '.join(shown if interval is None else [repr(interval), *shown[: len(said)]])})"
    try:
        total = (interval or timedelta()) + timedelta(**said)
    except (TypeError, ValueError, OverflowError):  # no number, not a number, or more days than time has
        raise InvalidSchedule(schedule=text, problem="each part must be a number, and the sum a time span") from None
    if total <= timedelta():
        raise InvalidSchedule(schedule=text, problem="an interval must be longer than zero")
    return Interval(total)


def crontab(
    minute: CronField | None = None,
    hour: CronField = "*",
    day_of_week: CronField = "*",
    day_of_month: CronField = "*",
    month_of_year: CronField = "*",
) -> Crontab:
    """Points of the calendar in the application's time zone: ``crontab(hour=2, minute=0)``, ``crontab(minute="*/15")``.

    ``minute`` must be said once another field is, for Celery would run the task in each minute of that hour.

    Raises:
        InvalidSchedule: a field is out of its range, or no day ever fits.
    """
    fields = {
        "minute": "*" if minute is None else minute,
        "hour": hour,
        "day_of_month": day_of_month,
        "month_of_year": month_of_year,
        "day_of_week": day_of_week,
    }
    said = {name: spec for name, spec in fields.items() if spec != "*" or (name == "minute" and minute is not None)}
    text = f"crontab({', '.join(f'{name}={spec!r}' for name, spec in said.items())})"
    if said and minute is None:
        problem = 'it says no minute, so it would run every minute of the hour: say minute=0, or minute="*" if meant'
        raise InvalidSchedule(schedule=text, problem=problem)
    return _checked(text, fields)


def cron(expression: str) -> Crontab:
    """The crontab of a cron string: minute, hour, day of month, month, day of week.

    Raises:
        InvalidSchedule: it has not five fields, or one of them is out of its range.
    """
    specs = expression.split()
    if len(specs) != len(_FIELDS):
        expected = " ".join(_FIELDS)
        problem = f"a cron string has five fields ({expected}), this one has {len(specs)}"
        raise InvalidSchedule(schedule=repr(expression), problem=problem)
    return _checked(repr(expression), dict(zip(_FIELDS, specs, strict=True)))


def _kept(spec: Any) -> Any:
    """A field that can be read more than once."""
    if isinstance(spec, Iterator):
        numbers: list[Any] = [*spec]
        return numbers
    return spec


def _checked(text: str, fields: dict[str, Any]) -> Crontab:
    fields = {name: _kept(spec) for name, spec in fields.items()}
    # One field at a time first, so that the error can name the field.
    for name, (low, high) in _FIELDS.items():
        spec = fields[name]
        if isinstance(spec, bool):
            raise InvalidSchedule(schedule=text, problem=f"{name} takes {low} to {high}, not {spec!r}")
        try:
            alone = Crontab(**{name: spec} if name == "minute" else {"minute": 0, name: spec})
            if not getattr(alone, name):
                raise ValueError(name)  # noqa: TRY301  Celery takes it, and beat then fails each time it looks
        except (ValueError, TypeError, ParseException) as error:
            if name == "day_of_month" and "days" in str(error).lower():
                continue
            raise InvalidSchedule(schedule=text, problem=f"{name} takes {low} to {high}, not {spec!r}") from None
    try:
        return Crontab(**fields)
    except ValueError:
        problem = f"day_of_month {fields['day_of_month']!r} is in no month of month_of_year {fields['month_of_year']!r}"
        raise InvalidSchedule(schedule=text, problem=problem) from None
