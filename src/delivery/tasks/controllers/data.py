"""Tasks that work through data."""

from __future__ import annotations

from pydantic import JsonValue
from typing_extensions import TypedDict

from celeriac import TaskContext, TaskController, task
from core.data.service import DataService

__all__ = ["DataTaskController", "ProcessedData"]


class ProcessedData(TypedDict):
    """How many items there were."""

    processed: int


class DataTaskController(TaskController):
    """Long work that says how far it is."""

    def __init__(self, data: DataService, context: TaskContext) -> None:
        self._data = data
        self._context = context

    @task("data.process")
    def process(self, data: list[JsonValue]) -> ProcessedData:
        """Work through a list, reporting progress after each item."""
        return {"processed": self._data.process(data, self._context.progress)}
