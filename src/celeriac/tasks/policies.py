"""What a task may say about how it runs: frozen values, checked when they are made."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from celeriac.flow.policies import Concurrency, Debounce, RateLimit, Unique

__all__ = [
    "Backoff",
    "Limits",
    "Priority",
    "RateLimit",
    "Retry",
    "TaskPolicy",
    "TaskState",
    "constant",
    "exponential",
    "jittered",
    "linear",
]

HIGHEST = 9


class TaskState(StrEnum):
    """The seven states of a task. A state of a task's own making counts as progress, as Celery's manual has it."""

    PENDING = "PENDING"
    STARTED = "STARTED"
    PROGRESS = "PROGRESS"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    RETRY = "RETRY"
    REVOKED = "REVOKED"

    @classmethod
    def of(cls, name: str) -> TaskState:
        """The state for a name that Celery stored."""
        strange = {"RECEIVED": cls.PENDING, "REJECTED": cls.REVOKED, "IGNORED": cls.SUCCESS}
        return cls(name) if name in cls.__members__ else strange.get(name, cls.PROGRESS)


class Priority(IntEnum):
    """How urgent a task is, in one order for every broker.

    The numbers are RabbitMQ's, where more is sooner. Redis counts the other way round, see :meth:`on`. The four steps
    are those that kombu's Redis transport keeps a list for, and fall on the right side of 4 for a quorum queue, which
    tells only two apart.
    """

    LOW = 0
    NORMAL = 3
    HIGH = 6
    CRITICAL = 9

    def on(self, transport: str) -> int:
        """The number that goes on the wire for a kombu transport such as ``"redis"`` or ``"amqp"``."""
        return int(self) if transport in {"amqp", "amqps", "pyamqp"} else HIGHEST - int(self)


class Backoff(Protocol):
    """How long to wait before the next attempt."""

    def __call__(self, retries: int, /) -> float:
        """Seconds to wait after ``retries`` earlier retries: 0 the first time."""
        ...


@dataclass(frozen=True, slots=True)
class _Constant:
    seconds: float

    def __call__(self, retries: int, /) -> float:
        del retries
        return self.seconds


@dataclass(frozen=True, slots=True)
class _Linear:
    seconds: float
    maximum: float

    def __call__(self, retries: int, /) -> float:
        return min(self.seconds * (retries + 1), self.maximum)


@dataclass(frozen=True, slots=True)
class _Exponential:
    seconds: float
    base: float
    maximum: float

    def __call__(self, retries: int, /) -> float:
        try:
            return min(self.seconds * self.base**retries, self.maximum)
        except OverflowError:
            return self.maximum


@dataclass(frozen=True, slots=True)
class _Jittered:
    backoff: Backoff

    def __call__(self, retries: int, /) -> float:
        return random.uniform(0, self.backoff(retries))  # noqa: S311  spreading load is no secret


def _positive(name: str, value: float) -> float:
    if not value > 0:
        msg = f"{name} must be more than 0 seconds, not {value}"
        raise ValueError(msg)
    return value


def constant(seconds: float) -> Backoff:
    """The same wait each time."""
    return _Constant(_positive("seconds", seconds))


def linear(seconds: float, *, maximum: float = 3600) -> Backoff:
    """``seconds``, twice, three times as long, and so on up to ``maximum``."""
    return _Linear(_positive("seconds", seconds), _positive("maximum", maximum))


def exponential(seconds: float = 1, *, base: float = 2, maximum: float = 600) -> Backoff:
    """``seconds * base ** retries``: 1, 2, 4, 8, ... up to ``maximum``."""
    return _Exponential(_positive("seconds", seconds), _positive("base", base), _positive("maximum", maximum))


def jittered(backoff: Backoff) -> Backoff:
    """Anything from 0 to what ``backoff`` says, evenly.

    Clients that failed together then do not come back together ("full jitter", Marc Brooker, AWS Architecture Blog,
    "Exponential Backoff And Jitter", 2015).
    """
    return _Jittered(backoff)


@dataclass(frozen=True, slots=True)
class Retry:
    """Which errors are worth another attempt, how many, and how far apart.

    ``max_retries`` counts the attempts after the first: 3 means 4 executions. ``None`` leaves it to
    ``CELERY_TASK_MAX_RETRIES``, and a ``backoff`` of ``None`` to ``CELERY_TASK_DEFAULT_RETRY_DELAY``.
    """

    on: type[Exception] | tuple[type[Exception], ...] = Exception
    max_retries: int | None = None
    backoff: Backoff | float | None = None
    never_on: type[Exception] | tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        if self.max_retries is not None and self.max_retries < 0:
            msg = f"max_retries must be 0 or more, not {self.max_retries}"
            raise ValueError(msg)
        if isinstance(self.backoff, int | float):
            object.__setattr__(self, "backoff", constant(self.backoff))

    def covers(self, error: BaseException) -> bool:
        """Whether this error is worth another attempt."""
        return isinstance(error, self.on) and not isinstance(error, self.never_on)

    def countdown(self, retries: int) -> float | None:
        """Seconds until the next attempt, or ``None`` for the default delay."""
        return None if self.backoff is None else self.backoff(retries)  # type: ignore[operator]  # made callable above


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one attempt may take, in seconds.

    At ``soft`` the task sees ``SoftTimeLimitExceeded`` and may tidy up; at ``hard`` its process is killed. ``None``
    leaves it to ``CELERY_TASK_SOFT_TIME_LIMIT`` and ``CELERY_TASK_TIME_LIMIT``. A ``hard`` limit on its own brings the
    soft one of the settings down to it.

    Our pool counts both from the start of the attempt. Celery's prefork counts ``hard`` from the moment that ``soft``
    strikes, less what has passed by then; threads and solo enforce neither.
    """

    soft: float | None = None
    hard: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("soft", self.soft), ("hard", self.hard)):
            if value is not None:
                _positive(name, value)
        if self.soft is not None and self.hard is not None and self.soft >= self.hard:
            msg = f"the soft limit ({self.soft} s) must be shorter than the hard one ({self.hard} s)"
            raise ValueError(msg)

    def options(self, usual_soft: float | None) -> dict[str, float]:
        """The limits as Celery takes them, where ``usual_soft`` holds for a call that says nothing."""
        soft = self.soft
        if soft is None and self.hard is not None and usual_soft and usual_soft > self.hard:
            # prefork starts the clock of the hard limit when the soft one strikes: a later one would put it off.
            soft = self.hard
        said = {"soft_time_limit": soft, "time_limit": self.hard}
        return {name: value for name, value in said.items() if value is not None}


_PERMISSION = re.compile(r"[a-z0-9][a-z0-9_.-]*(:[a-z0-9][a-z0-9_.-]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskPolicy:
    """All that ``@task`` was told beside the name."""

    queue: str | None = None
    priority: Priority | None = None
    retry: Retry | None = None
    limits: Limits = field(default_factory=Limits)
    rate_limit: str | RateLimit | None = None
    concurrency: Concurrency | None = None
    unique: Unique | None = None
    debounce: Debounce | None = None
    deadline: float | None = None
    expires: float | None = None
    ignore_result: bool | None = None
    max_deliveries: int | None = None
    permission: str | None = None
    http: bool = True
    outbox: bool = False
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_deliveries is not None and self.max_deliveries < 1:
            msg = f"max_deliveries must be 1 or more, not {self.max_deliveries}"
            raise ValueError(msg)
        if self.unique is not None and self.debounce is not None:
            msg = "unique and debounce cannot be combined; debounce with concurrency=Concurrency(1) does not overlap"
            raise ValueError(msg)
        if self.deadline is not None:
            _positive("deadline", self.deadline)
        if self.permission is not None and not _PERMISSION.fullmatch(self.permission):
            msg = f"a permission is written like 'reports:run', in small letters, not {self.permission!r}"
            raise ValueError(msg)

    def task_options(self, transport: str, usual_soft: float | None = None) -> dict[str, Any]:
        """The attributes of the Celery task: only what was said, so that settings fill in the rest.

        Args:
            transport: the broker's kombu transport.
            usual_soft: seconds of the soft limit for tasks that say nothing.
        """
        said = {
            "queue": self.queue,
            "priority": None if self.priority is None else self.priority.on(transport),
            "max_retries": self.retry and self.retry.max_retries,
            "rate_limit": self.rate_limit if isinstance(self.rate_limit, str) else None,
            "expires": self.expires,
            "ignore_result": self.ignore_result,
            "max_deliveries": self.max_deliveries,
        }
        return {name: value for name, value in said.items() if value is not None} | self.limits.options(usual_soft)

    def but(self, **changes: Any) -> TaskPolicy:
        """The same policy with some values changed."""
        return replace(self, **changes)
