"""One line of the schedule: a name, a time, and a call that is checked when it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from celeriac.exceptions import InvalidArguments, InvalidScheduleEntry
from celeriac.schedule.coercion import coerce_schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery
    from celery.schedules import BaseSchedule

    from celeriac.tasks.handle import TaskHandle
    from celeriac.tasks.policies import Priority

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["ScheduleEntry", "as_beat_schedule", "entry", "install_schedule"]


@dataclass(frozen=True, slots=True)
class ScheduleEntry:
    """A task, when it runs, and with which arguments; made by :func:`entry`.

    ``args`` and ``kwargs`` are plain JSON, as they travel. ``queue``, ``expires`` (seconds after which a run that found
    no worker is dropped) and ``priority`` are ``None`` where the task's own say holds.
    """

    name: str
    schedule: BaseSchedule
    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] | None = None
    queue: str | None = None
    expires: float | None = None
    priority: Priority | None = None

    def options(
        self, *, queue: str | None = None, expires: float | timedelta | None = None, priority: Priority | None = None
    ) -> ScheduleEntry:
        """The same entry, sent to another queue, dropped after ``expires``, or with another priority.

        Raises:
            InvalidScheduleEntry: ``expires`` is not longer than zero.
        """
        seconds = expires.total_seconds() if isinstance(expires, timedelta) else expires
        if seconds is not None and not seconds > 0:
            raise InvalidScheduleEntry(entry=self.name, problem=f"expires must be more than 0 seconds, not {seconds!r}")
        return replace(
            self,
            queue=self.queue if queue is None else queue,
            expires=self.expires if seconds is None else seconds,
            priority=self.priority if priority is None else priority,
        )

    def as_dict(self, transport: str = "redis") -> dict[str, Any]:
        """The entry as beat takes it, for a broker of this kombu transport: brokers count priorities differently."""
        options = {
            "queue": self.queue,
            "expires": self.expires,
            "priority": None if self.priority is None else self.priority.on(transport),
        }
        return {
            "task": self.task,
            "schedule": self.schedule,
            "args": self.args,
            "kwargs": dict(self.kwargs or {}),
            "options": {name: value for name, value in options.items() if value is not None},
        }


def entry(name: str, when: Any, handle: TaskHandle[P, R], /, *args: P.args, **kwargs: P.kwargs) -> ScheduleEntry:
    """A call of a registry's task, at each point in time that ``when`` means.

    ``when`` takes every form of :func:`~celeriac.schedule.coercion.coerce_schedule`.

    Raises:
        InvalidScheduleEntry: ``when`` is no schedule, or the arguments do not fit the task. Names the entry.
    """
    schedule = coerce_schedule(when, name)
    try:
        sent_args, sent_kwargs = handle.dump(*args, **kwargs)
    except InvalidArguments as error:
        raise InvalidScheduleEntry(entry=name, problem=str(error)) from error
    return ScheduleEntry(name, schedule, handle.name, tuple(sent_args), sent_kwargs)


def as_beat_schedule(entries: Iterable[ScheduleEntry], transport: str = "redis") -> dict[str, dict[str, Any]]:
    """The table that goes into ``beat_schedule``.

    Raises:
        InvalidScheduleEntry: two entries have one name; beat would keep the later one alone.
    """
    table: dict[str, dict[str, Any]] = {}
    for each in entries:
        if each.name in table:
            raise InvalidScheduleEntry(entry=each.name, problem="another entry has the same name")
        table[each.name] = each.as_dict(transport)
    return table


def install_schedule(app: Celery, entries: Iterable[ScheduleEntry]) -> None:
    """Add entries to an app's schedule, with priorities as its broker counts them. Opens no connection.

    Raises:
        InvalidScheduleEntry: the app has an entry of that name already.
    """
    known: dict[str, dict[str, Any]] = app.conf.beat_schedule
    added = as_beat_schedule(entries, app.connection_for_write().transport_cls)
    for name in added:
        if name in known:
            raise InvalidScheduleEntry(entry=name, problem="another entry has the same name")
    app.conf.beat_schedule = {**known, **added}
