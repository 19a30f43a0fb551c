"""A task as callers see it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, Field, JsonValue

from celeriac.history.records import HistoryState
from celeriac.tasks.policies import TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celeriac.history.records import TaskRecord
    from celeriac.tasks.registry import TasksRegistry

__all__ = ["AcceptedTask", "AttemptView", "TaskPage", "TaskView", "is_final", "seen", "status_of", "summary"]

WAITING: Final = "Task is waiting to be processed"
MASK: Final = "**********"
_FINAL: Final = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVOKED})
_ID: Final = "0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55"


class AttemptView(BaseModel):
    """One time that a worker ran the task."""

    number: int
    state: HistoryState
    worker: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    traceback: str | None = None


class TaskView(BaseModel):  # type: ignore[no-redef]  # pydantic's plugin takes the field for __init__'s **kwargs
    """A task. ``message``, ``progress``, ``result`` and ``error`` are there where the status has one, and only then."""

    task_id: str = Field(examples=[_ID])
    status: TaskState
    message: str | None = Field(default=None, description="`PENDING` and `REVOKED`.", examples=[WAITING])
    progress: JsonValue = Field(default=None, description="`PROGRESS`: what the task said last.")
    result: JsonValue = Field(default=None, description="`SUCCESS`: what the task returned; masked where it is secret.")
    error: str | None = Field(default=None, description="`FAILURE`: the text of the error.")
    name: str | None = Field(default=None, examples=["email.send_welcome"])
    queue: str | None = Field(default=None, examples=["default"])
    state: HistoryState | None = Field(default=None, description="The same as `status`, finer.")
    args: str | None = Field(
        default=None, description="Positional arguments for people: secrets masked, long ones cut."
    )
    kwargs: str | None = Field(default=None, description="Named arguments, likewise.")
    retries: int | None = None
    worker: str | None = None
    queued_at: datetime | None = None
    received_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    eta: datetime | None = None
    expires: datetime | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    tags: list[str] | None = None
    dead_reason: str | None = None
    retryable: bool | None = Field(default=None, description="Whether `POST .../retry` can send it again.")
    attempts: list[AttemptView] | None = None
    children: list[str] | None = Field(default=None, description="Ids of the tasks that it called.")


class TaskPage(BaseModel):
    """Some tasks, the newest first."""

    tasks: list[TaskView]
    cursor: str | None = Field(description="What to ask for the next page with; null after the last one.")


class AcceptedTask(BaseModel):
    """A task that was sent."""

    task_id: str = Field(examples=[_ID])
    name: str = Field(examples=["email.send_welcome"])
    status: TaskState = Field(examples=["PENDING"])
    check_url: str = Field(description="Where to ask for it.", examples=[f"/api/v1/tasks/{_ID}"])
    events_url: str = Field(description="Where to follow it.", examples=[f"/api/v1/tasks/{_ID}/events"])


def status_of(meta: Mapping[str, Any] | None, record: TaskRecord | None, *, revoked: bool = False) -> TaskState:
    """The status: the result backend's while it has one, else what the history knows."""
    if meta is not None:
        return TaskState.of(str(meta["status"]))
    known = TaskState.PENDING if record is None else record.celery_state
    return TaskState.REVOKED if revoked and known is TaskState.PENDING else known


def is_final(status: TaskState) -> bool:
    """Whether nothing more happens by itself."""
    return status in _FINAL


def seen(
    task_id: str,
    meta: Mapping[str, Any] | None,
    record: TaskRecord | None,
    registry: TasksRegistry,
    *,
    revoked: bool = False,
) -> dict[str, Any]:
    """All that is known of a task.

    Args:
        task_id: its id.
        meta: what the result backend holds.
        record: what the history holds.
        registry: knows what is secret.
        revoked: whether it was revoked, and nobody has met it since.
    """
    status = status_of(meta, record, revoked=revoked)
    view: dict[str, Any] = {"task_id": task_id, "status": status.value}
    stored = None if meta is None else meta.get("result")
    if status is TaskState.PENDING:
        view["message"] = WAITING
    elif status is TaskState.PROGRESS:
        view["progress"] = stored if meta is not None else (record and record.progress)
    elif status is TaskState.SUCCESS:
        view["result"] = _result(meta, stored, record, registry)
    elif status is TaskState.FAILURE:
        view["error"] = str(stored) if meta is not None else (record and record.error) or "unknown"
    elif status is TaskState.REVOKED:
        view["message"] = "Task was revoked"
    if record is not None:
        view |= _recorded(record)
        if revoked and status is TaskState.REVOKED:
            view["state"] = HistoryState.REVOKED.value
        view["attempts"] = [_attempt(each) for each in record.attempts]
        view["children"] = list(record.children)
    return view


def summary(record: TaskRecord) -> dict[str, Any]:
    """A task as it stands in a list."""
    view: dict[str, Any] = {"task_id": record.id, "status": record.celery_state.value}
    if record.celery_state is TaskState.FAILURE:
        view["error"] = record.error or "unknown"
    return view | _recorded(record)


def _result(meta: Mapping[str, Any] | None, stored: Any, record: TaskRecord | None, registry: TasksRegistry) -> Any:
    if meta is None:
        return record and (record.result if record.result_text is None else record.result_text)
    name = record and record.name
    secret = any(
        handle.signature.secret_result for handle in registry if name is None or handle.name == name
    )  # a task without a name could be any of them
    return MASK if secret and stored is not None else stored


def _recorded(record: TaskRecord) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": record.name,
        "queue": record.queue,
        "state": record.state.value,
        "args": record.args_text,
        "kwargs": record.kwargs_text,
        "retries": record.retries,
        "worker": record.worker,
        "queued_at": record.queued_at,
        "received_at": record.received_at,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "eta": record.eta,
        "expires": record.expires,
        "parent_id": record.parent_id,
        "root_id": record.root_id,
        "group_id": record.group_id,
        "tags": list(record.tags),
        "dead_reason": record.dead_reason,
    }
    found = {name: value for name, value in said.items() if value is not None}
    return found | {"retryable": record.state.ended and (record.replayable or record.dead_letter is not None)}


def _attempt(attempt: Any) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in AttemptView.model_fields}
