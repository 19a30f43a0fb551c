"""Tasks that work through data, and the steps of workflows over it."""

from __future__ import annotations

from pydantic import JsonValue
from typing_extensions import TypedDict

from celeriac import Retry, TaskContext, TaskController, task
from core.data.entities import Examined, Saved, Summary
from core.data.service import DataService
from core.data.workflow import DataWorkflow
from core.errors import UnavailableError

__all__ = ["DataTaskController", "ProcessedData", "WorkflowTaskController"]


class ProcessedData(TypedDict):
    """How many items there were."""

    processed: int


class DataTaskController(TaskController):
    """Work that needs nothing but its items: all of them at once, or one by one with a summary at the end."""

    def __init__(self, data: DataService, context: TaskContext) -> None:
        self._data = data
        self._context = context

    @task("data.process")
    def process(self, data: list[JsonValue]) -> ProcessedData:
        """Work through a list, reporting progress after each item."""
        return {"processed": self._data.process(data, self._context.progress)}

    @task("process_item")
    def process_item(self, item: JsonValue) -> Examined:
        """Find what is missing in one item."""
        return self._data.examine(item)

    @task("aggregate_results")
    def aggregate_results(self, results: list[Examined]) -> Summary:
        """Sum up what was found in many items."""
        return self._data.summarise(results)


class WorkflowTaskController(TaskController):
    """Both ends of ``fetch_data.s("orders").then(process_data).then(save_results)``."""

    def __init__(self, workflow: DataWorkflow, context: TaskContext) -> None:
        self._workflow = workflow
        self._context = context

    @task("fetch_data")
    def fetch_data(self, source: str) -> list[JsonValue]:
        """Read the rows of a table by its name."""
        return self._workflow.fetch(source)

    @task("save_results", retry=Retry(on=UnavailableError, max_retries=3, backoff=60))
    def save_results(self, outcome: ProcessedData) -> Saved:
        """Keep the outcome of the workflow that this is a step of, once."""
        return self._workflow.save(self._context.root_id, {"processed": outcome["processed"]})
