"""What happened to a task, as values: one task, its attempts, a page of tasks, a choice among them, and figures."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003  pydantic reads the annotations of what HTTP answers
from dataclasses import dataclass
from datetime import datetime  # noqa: TC003  likewise
from enum import StrEnum
from typing import Any

from celeriac.tasks.policies import TaskState

__all__ = ["AttemptRecord", "HistoryFigures", "HistoryFilter", "HistoryPage", "HistoryState", "TaskRecord"]


class HistoryState(StrEnum):
    """Where a task is. Finer than Celery's seven states: see :attr:`celery`."""

    QUEUED = "queued"
    """It was published, and nobody has taken it yet."""
    RECEIVED = "received"
    """A worker has it in hand and has not begun."""
    STARTED = "started"
    PROGRESS = "progress"
    """It runs, and has said how far it is."""
    RETRIED = "retried"
    """An attempt failed, and the next one waits for its turn."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"
    DEAD = "dead"
    """Its message is a dead letter."""

    @property
    def celery(self) -> TaskState:
        """The state that Celery has for it."""
        return _CELERYS[self]

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in _ENDED

    @classmethod
    def of(cls, state: TaskState) -> tuple[HistoryState, ...]:
        """The states that one of Celery's stands for."""
        return tuple(each for each, known in _CELERYS.items() if known is state)


_CELERYS = {
    HistoryState.QUEUED: TaskState.PENDING,
    HistoryState.RECEIVED: TaskState.PENDING,
    HistoryState.STARTED: TaskState.STARTED,
    HistoryState.PROGRESS: TaskState.PROGRESS,
    HistoryState.RETRIED: TaskState.RETRY,
    HistoryState.SUCCEEDED: TaskState.SUCCESS,
    HistoryState.FAILED: TaskState.FAILURE,
    HistoryState.REVOKED: TaskState.REVOKED,
    HistoryState.DEAD: TaskState.FAILURE,
}
_ENDED = frozenset({HistoryState.SUCCEEDED, HistoryState.FAILED, HistoryState.REVOKED, HistoryState.DEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One time that a worker ran a task, or tried to."""

    number: int
    """1 the first time, 2 after one retry. A message that came back because its worker died has its number again."""
    state: HistoryState
    """``STARTED`` where no end is known: it runs, or its worker died."""
    worker: str | None = None
    """The worker's name, such as ``celery@host``."""
    pid: int | None = None
    received_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str | None = None
    """The exception's class and text."""
    traceback: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """One task, from its publish on. Times are UTC, by the clock of Redis."""

    id: str
    name: str | None
    """``None`` where only its end is known."""
    state: HistoryState
    queue: str | None = None
    args: list[Any] | None = None
    """The positional arguments as they travelled; ``None`` where they hold secrets, or were too long to keep."""
    kwargs: dict[str, Any] | None = None
    """The named arguments, likewise."""
    args_text: str = ""
    """The positional arguments for people: secrets masked, long ones cut."""
    kwargs_text: str = ""
    result: Any = None
    """Plain JSON. ``None`` until it succeeds, where it holds secrets, where none is kept."""
    result_text: str | None = None
    """How a result begins that was too long to keep; ``None`` where ``result`` is all of it."""
    error: str | None = None
    """The last error's class and text."""
    traceback: str | None = None
    progress: Mapping[str, Any] | None = None
    """What it said last of how far it is."""
    retries: int = 0
    worker: str | None = None
    """The one of the last attempt."""
    queued_at: datetime | None = None
    """``None`` where it was published by somebody who keeps no history."""
    received_at: datetime | None = None
    started_at: datetime | None = None
    """When the last attempt began."""
    ended_at: datetime | None = None
    eta: datetime | None = None
    expires: datetime | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    tags: tuple[str, ...] = ()
    dead_reason: str | None = None
    """Why its message is a dead letter, in a word and in a sentence."""
    dead_letter: str | None = None
    """The dead letter's id, for :class:`~celeriac.history.deadletters.DeadLetters`."""
    attempts: tuple[AttemptRecord, ...] = ()
    """In the order in which they began."""
    children: tuple[str, ...] = ()
    """Ids of the tasks that it called. Only :meth:`~celeriac.history.service.TaskHistory.get` looks for them."""

    @property
    def replayable(self) -> bool:
        """Whether name and arguments are whole, so that the task can be sent again."""
        return self.name is not None and self.args is not None and self.kwargs is not None

    @property
    def celery_state(self) -> TaskState:
        """The state that Celery has for it."""
        return self.state.celery


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which tasks are meant: those that fit all that is said. Without anything said, every one."""

    states: tuple[HistoryState, ...] = ()
    """Any of these; all if there are none."""
    name: str | None = None
    queue: str | None = None
    tag: str | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    since: datetime | None = None
    """Published, or first seen, at this moment or later; with a time zone."""
    until: datetime | None = None
    """Published, or first seen, before this moment; with a time zone."""

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if moment is not None and moment.tzinfo is None:
                msg = "a moment needs a time zone"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some tasks, the newest first."""

    tasks: tuple[TaskRecord, ...]
    cursor: str | None
    """What to ask for the next page with; ``None`` after the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFigures:
    """How far the database is behind."""

    backlog: int
    """Entries that wait on Redis; one holds the events of a moment, up to some hundreds."""
    lag: float | None
    """Seconds since the oldest of them; ``None`` where none waits."""
    tasks: int
    """Tasks in the database."""
