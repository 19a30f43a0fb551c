"""One schedule from any of the forms in which people write one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, cast

from celery.schedules import BaseSchedule

from celeriac.error import nearest
from celeriac.exceptions import InvalidSchedule, InvalidScheduleEntry
from celeriac.schedule.times import cron, crontab, every

__all__ = ["coerce_beat_schedule", "coerce_schedule"]

_CRONTAB: Final = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
_INTERVAL: Final = ("seconds", "minutes", "hours", "days", "weeks")
_ENTRY: Final = ("task", "schedule", "args", "kwargs", "options", "relative")
_FORMS: Final = (
    "write seconds, a timedelta, every(...), crontab(...), a cron string,"
    ' {"type": "interval", "seconds": 300} or {"type": "crontab", "hour": 2, "minute": 0}'
)


def coerce_schedule(value: Any, entry_name: str) -> BaseSchedule:
    """The schedule that ``value`` means.

    Taken are a number of seconds, a timedelta, a schedule of Celery's, a cron string (``"0 2 * * *"``), and the tables
    ``{"type": "interval", "seconds": 300}`` and ``{"type": "crontab", "hour": 2, "minute": 0}``, either also without
    its ``type``.

    Raises:
        InvalidScheduleEntry: it is none of these, or means no point in time. Names the entry.
    """
    try:
        return _schedule(value)
    except InvalidSchedule as error:
        raise InvalidScheduleEntry(entry=entry_name, problem=str(error)) from error


def coerce_beat_schedule(value: Any) -> dict[str, dict[str, Any]]:
    """Beat's table of entries with every schedule as Celery takes it; ``value`` itself is left as it was.

    Raises:
        InvalidScheduleEntry: an entry lacks its task or schedule, has a key that beat does not know, or a bad schedule.
    """
    table: Any = value
    if not isinstance(value, Mapping):
        raise InvalidScheduleEntry(entry="beat_schedule", problem="it is no table of entries by name")
    return {str(name): _coerce_entry(str(name), entry) for name, entry in table.items()}


def _coerce_entry(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidScheduleEntry(entry=name, problem='it is no table: write {"task": ..., "schedule": ...}')
    entry = dict(cast("Mapping[str, Any]", value))
    for key in ("task", "schedule"):
        if entry.get(key) is None:
            raise InvalidScheduleEntry(entry=name, problem=f"it says no {key!r}")
    for key in entry:
        if key not in _ENTRY:
            raise InvalidScheduleEntry(entry=name, problem=f"{key!r} is no key of an entry.{nearest(key, _ENTRY)}")
    return {**entry, "schedule": coerce_schedule(entry["schedule"], name)}


def _schedule(value: Any) -> BaseSchedule:
    match value:
        case BaseSchedule():
            return value
        case bool() | None:
            raise InvalidSchedule(schedule=repr(value), problem=_FORMS)
        case int() | float():
            return every(seconds=value)
        case timedelta():
            return every(value)
        case str():
            return cron(value)
        case Mapping():
            return _from_table(dict(cast("Mapping[str, Any]", value)))
        case _:
            raise InvalidSchedule(schedule=repr(value), problem=_FORMS)


def _from_table(table: dict[str, Any]) -> BaseSchedule:
    text = repr(table)
    kind = table.pop("type", None)
    if kind is None:
        kind = "interval" if table and table.keys() <= set(_INTERVAL) else "crontab"
    if kind not in ("interval", "crontab"):
        raise InvalidSchedule(schedule=text, problem=f"type {kind!r} is neither 'interval' nor 'crontab'")
    known = _INTERVAL if kind == "interval" else _CRONTAB
    if not table:
        raise InvalidSchedule(schedule=text, problem=f"it names none of {', '.join(known)}")
    for key in table:
        if key not in known:
            raise InvalidSchedule(schedule=text, problem=f"{key!r} is no part of type {kind!r}.{nearest(key, known)}")
    return every(**table) if kind == "interval" else crontab(**table)
