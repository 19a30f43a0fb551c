"""Small tasks to copy from."""

from __future__ import annotations

from celeriac import Retry, TaskContext, TaskController, exponential, task

__all__ = ["ExampleTaskController", "NotYetError"]


class NotYetError(Exception):
    """An attempt of ``example.flaky`` that was meant to fail."""


class ExampleTaskController(TaskController):
    """One task that only computes, one that is tried again, one that sums up others."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context

    @task("example.add")
    def add(self, x: int, y: int) -> int:
        """Add two numbers."""
        return x + y

    @task("example.total")
    def total(self, numbers: list[int]) -> int:
        """Add any number of numbers."""
        return sum(numbers)

    @task("example.flaky", retry=Retry(on=NotYetError, max_retries=3, backoff=exponential(1)))
    def flaky(self, failures: int) -> int:
        """Fail so many times, then return the number of the attempt that worked."""
        if self._context.attempt <= failures:
            msg = f"attempt {self._context.attempt} of {failures} that fail"
            raise NotYetError(msg)
        return self._context.attempt
