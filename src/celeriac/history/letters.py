"""Dead letters as values: one of them, a page, a choice among them, what was done with them, and figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["DeadLetter", "DeadLetterFigures", "DeadLetterFilter", "DeadLetterPage", "DeadReason", "MoveReport"]


class DeadReason(StrEnum):
    """Why a message is dead."""

    TOO_MANY_DELIVERIES = "too-many-deliveries"
    """Its workers were killed, or gave it back, again and again."""
    MALFORMED = "malformed"
    """No worker can read it."""
    UNKNOWN_TASK = "unknown-task"
    """It names a task that its worker does not have."""
    REJECTED = "rejected"
    """A task, or Celery itself, did not want it."""
    EXPIRED = "expired"
    """It lay in RabbitMQ for longer than its sender allowed."""
    OTHER = "other"
    """Something else, which the detail names."""

    @classmethod
    def of(cls, name: str) -> DeadReason:
        """The reason of that name, or ``OTHER``."""
        return cls(name) if name in set(cls) else cls.OTHER


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was taken out of its queue, because running it again would do harm or cannot work.

    ``repr`` shows neither the message nor its headers: they may hold what is nobody's business.
    """

    id: str
    """The dead letter's own id, not the task's."""
    task: str | None
    """The name of the task, where the message says one."""
    task_id: str | None
    queue: str
    """Where it was, and where a replay puts it."""
    reason: DeadReason
    detail: str
    """The reason in words."""
    deliveries: int | None
    """How often it was delivered; ``None`` where the server buried it and does not say."""
    worker: str | None
    """Who buried it; ``None`` where the server did."""
    died: datetime
    """When; with a time zone."""
    message: bytes = field(repr=False)
    """The message itself: on Redis the whole of it, on RabbitMQ its body."""
    headers: Mapping[str, Any] = field(repr=False)
    """The message's headers; empty where it is too broken to have any."""
    args: str = ""
    """The positional arguments as logs may show them: secrets are masked."""
    kwargs: str = ""
    """The named arguments, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """Which dead letters are meant: those that fit all that is said. Without anything said, every one."""

    task: str | None = None
    queue: str | None = None
    reason: DeadReason | str | None = None
    since: datetime | None = None
    """Died at this moment or later; with a time zone."""
    until: datetime | None = None
    """Died before this moment; with a time zone."""

    def __post_init__(self) -> None:
        if self.reason is not None and self.reason not in set(DeadReason):
            msg = f"{self.reason!r} is no reason to be dead; reasons are {', '.join(DeadReason)}"
            raise ValueError(msg)
        for moment in (self.since, self.until):
            if moment is not None and moment.tzinfo is None:
                msg = "a moment needs a time zone"
                raise ValueError(msg)

    def fits(self, letter: DeadLetter) -> bool:
        """Whether a dead letter is one of those that are meant."""
        return (
            (self.task is None or letter.task == self.task)
            and (self.queue is None or letter.queue == self.queue)
            and (self.reason is None or letter.reason == self.reason)
            and (self.since is None or letter.died >= self.since)
            and (self.until is None or letter.died < self.until)
        )


@dataclass(frozen=True, slots=True)
class DeadLetterPage:
    """Some dead letters, oldest first."""

    letters: tuple[DeadLetter, ...]
    cursor: str | None
    """What to ask for the next page with; ``None`` after the last one."""


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What a replay or a drop of several did, or would do."""

    done: tuple[str, ...]
    """Ids of the dead letters that were replayed or dropped; with ``dry_run``, that would have been."""
    failed: Mapping[str, str]
    """Ids of those that stayed where they were, each with the reason."""
    dry_run: bool
    seconds: float
    """How long it took."""


@dataclass(frozen=True, slots=True)
class DeadLetterFigures:
    """How many there are, for dashboards and alarms."""

    count: int
    oldest: float | None
    """Seconds since the oldest died; ``None`` where there is none."""
    by_task: Mapping[str, int]
    """The task's name to a number; ``""`` stands for messages that name none."""
    by_reason: Mapping[str, int]
    by_queue: Mapping[str, int]
    counted: int
    """Over how many the tables were made: the oldest ones, where there are too many to look at."""
