"""What every line of the log says, whoever wrote it: our code through structlog, or Celery through logging."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from celery._state import get_current_task

from celeriac.tasks.context import current_context

if TYPE_CHECKING:
    import logging
    from collections.abc import MutableMapping

__all__ = ["Description"]


class Description:
    """A structlog processor that puts in front of an event when, how grave, who, and for which task and trace.

    It reads the task at the moment of the call, from the context that follows the task into coroutines, so it holds in
    every pool. A stock Celery task is found by Celery's own stack; a line that the worker's main process writes about
    a task names it in the record's ``data``.
    """

    def __init__(self, service_name: str) -> None:
        self._service_name = service_name

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the event, described."""
        record: logging.LogRecord = event.pop("_record")
        event.pop("_from_structlog", None)
        described: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": event.pop("event", ""),
            "service": self._service_name,
        }
        described.update(_task(record))
        described.update(_trace())
        described.update(event)
        return described


def _task(record: logging.LogRecord) -> dict[str, Any]:
    """The task that runs here, or that the line is about, or nothing."""
    if (context := current_context()) is not None:
        return {"task_id": context.id, "task_name": context.name, "attempt": context.attempt}
    task = get_current_task()
    if task is not None:  # pyright: ignore[reportUnnecessaryComparison] - Celery's own hint forgets it
        request = task.request
        return {"task_id": request.id, "task_name": task.name, "attempt": (request.retries or 0) + 1}
    data: object = getattr(record, "data", None)
    if isinstance(data, dict):
        about = cast("dict[str, Any]", data)
        return {f"task_{key}": about[key] for key in ("id", "name") if key in about}
    return {}


def _trace() -> dict[str, str]:
    """The ids of the span that is recording here, as hexadecimal text, or nothing."""
    if (trace := sys.modules.get("opentelemetry.trace")) is None:
        return {}
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
