"""What beat starts, and when. Arguments are checked against the task, by type checkers and again at start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac import crontab, entry, every
from celeriac.schedule import DAILY, HOURLY, WEEKLY

if TYPE_CHECKING:
    from celeriac import ScheduleEntry
    from delivery.tasks.registry import TasksRegistry

__all__ = ["schedule"]


def schedule(tasks: TasksRegistry) -> list[ScheduleEntry]:
    """The service's periodic tasks."""
    return [
        entry("heartbeat", every(minutes=1), tasks.ping),
        entry("daily-report", crontab(hour=2, minute=0), tasks.generate_daily_report),
        entry("cleanup-every-hour", HOURLY, tasks.cleanup_expired_data),
        entry("daily-refresh", DAILY, tasks.refresh_market_data).options(queue="high_priority"),
        entry("hourly-index", HOURLY, tasks.compute_index).options(queue="high_priority"),
        entry("weekly-cleanup", WEEKLY, tasks.cleanup_old_data).options(queue="low_priority"),
    ]
