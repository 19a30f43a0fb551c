"""Tasks that show the service is alive."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from celeriac import TaskController, task
from core.health.service import HealthService

__all__ = ["PingResult", "PingTaskController"]


class PingResult(TypedDict):
    """What a worker that is alive answers."""

    result: Literal["pong"]


class PingTaskController(TaskController):
    """Health checks."""

    def __init__(self, health: HealthService) -> None:
        self._health = health

    @task("ping")
    def ping(self) -> PingResult:
        """Health check: a worker took the message, ran the task, and its answer came back."""
        return {"result": self._health.ping()}
