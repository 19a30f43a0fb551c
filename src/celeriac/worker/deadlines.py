"""The soft limit of tasks with a deadline: brought down to what is left, whatever the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.worker.request import Request

if TYPE_CHECKING:
    from celeriac.flow.deadline import Deadline

__all__ = ["DeadlineRequest"]

_AT_LEAST: Final = 1.0
"""Seconds for an attempt that has none left: enough to say so."""


class DeadlineRequest(Request):
    """Celery's request, whose limits are asked for when it is handed to the pool."""

    @property
    def time_limits(self) -> tuple[float | None, float | None]:
        """The hard and the soft limit."""
        hard, soft = vars(self).get("_said_limits", (None, None))
        task: Any = self.task
        deadline: Deadline = task.flow.deadline
        left = round(deadline.left(self.request_dict), 2)
        limits = [soft or task.soft_time_limit or task.app.conf.task_soft_time_limit, max(left, 0.0) or _AT_LEAST]
        return hard, min(limit for limit in limits if limit)

    @time_limits.setter
    def time_limits(  # pyright: ignore[reportIncompatibleVariableOverride]  # a plain pair, in Celery's
        self, said: tuple[float | None, float | None]
    ) -> None:
        vars(self)["_said_limits"] = said
