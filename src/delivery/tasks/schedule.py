"""What beat starts, and when. Arguments are checked against the task, by type checkers and again at start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celeriac import entry, every

if TYPE_CHECKING:
    from celeriac import ScheduleEntry
    from delivery.tasks.registry import TasksRegistry

__all__ = ["schedule"]


def schedule(tasks: TasksRegistry) -> list[ScheduleEntry]:
    """The service's periodic tasks."""
    return [entry("heartbeat", every(minutes=1), tasks.ping)]
