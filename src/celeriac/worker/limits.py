"""Time limits as the worker was told of them."""

from __future__ import annotations

from typing import Any

__all__ = ["Limits"]


class Limits:
    """What the pool was told of time limits, for tasks and messages that say nothing. Seconds."""

    def __init__(self, soft: float | None, hard: float | None) -> None:
        self.soft = soft
        self.hard = hard

    def of(self, task: Any, said: Any) -> tuple[float | None, float | None]:
        """Soft and hard limit of one message: its own, else the task's, else the worker's."""
        hard, soft = said or (None, None)
        return soft or task.soft_time_limit or self.soft, hard or task.time_limit or self.hard
