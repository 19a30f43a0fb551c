"""What every line of the log says, whoever wrote it: our code through structlog, or Celery through logging."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from celery._state import get_current_task

from celeriac.tasks.context import current_context
from celeriac.telemetry.masking import mask_url

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LineFormatter"]


class LineFormatter(logging.Formatter):
    """Makes a line of a record: when, how grave, who, what, and for which task and trace.

    Records of structlog and of logging take the same way, which is shorter than structlog's own for both: a worker logs
    each task twice, and this is most of what our log costs it.

    The task is read at the moment of the call, from the context that follows it into coroutines, so it holds in every
    pool. A stock Celery task is found by Celery's own stack; a line that the worker's main process writes about a task
    names it in the record's ``data``.

    Args:
        service_name: stands in every line as ``service``.
        render: makes text of what is to be said.
    """

    def __init__(self, service_name: str, render: Callable[[dict[str, Any]], str]) -> None:
        super().__init__()
        self._service_name = service_name
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        """The line. Passwords are masked last, in the finished text: in event, value and traceback alike."""
        said: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": "",
            "service": self._service_name,
        }
        said.update(_task(record))
        said.update(_trace())
        said.update(_event(record))
        return mask_url(self._render(said))


def _event(record: logging.LogRecord) -> dict[str, Any]:
    """What was said: structlog hands it over as a table, everyone else as a text."""
    message: object = record.msg
    if isinstance(message, dict):
        return cast("dict[str, Any]", message)
    event: dict[str, Any] = {"event": record.getMessage()}
    if record.exc_info:
        event["exc_info"] = record.exc_info
    if record.stack_info:
        event["stack"] = record.stack_info
    return event


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
