"""When tasks run by themselves: intervals, crontabs, and the entries that beat reads."""

from __future__ import annotations

from celeriac.schedule.coercion import coerce_beat_schedule, coerce_schedule
from celeriac.schedule.entry import ScheduleEntry, as_beat_schedule, entry, install_schedule
from celeriac.schedule.times import DAILY, HOURLY, MINUTELY, WEEKLY, crontab, every

__all__ = [
    "DAILY",
    "HOURLY",
    "MINUTELY",
    "WEEKLY",
    "ScheduleEntry",
    "as_beat_schedule",
    "coerce_beat_schedule",
    "coerce_schedule",
    "crontab",
    "entry",
    "every",
    "install_schedule",
]
