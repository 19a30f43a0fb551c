"""What is noted of a request while it runs, for the record that is written when it ends."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celeriac.security.callers import Caller
    from celeriac.security.rates import Admission

__all__ = ["Trail", "current_trail", "note"]


@dataclass(slots=True)
class Trail:
    """One request, as far as it has come.

    Attributes:
        caller: who asks, once that is known.
        admission: what is left of the caller's rate.
        permission: what was asked for last.
        action: what is done, such as ``cancel_task``.
        task: the name of the task that it is about.
        task_id: the id of that task.
        detail: more, for people.
        count: how many tasks it is about, where there are several.
    """

    caller: Caller | None = None
    admission: Admission | None = None
    permission: str = ""
    action: str = ""
    task: str = ""
    task_id: str = ""
    detail: str = ""
    count: int | None = None


current_trail: ContextVar[Trail | None] = ContextVar("celeriac_trail", default=None)
"""The trail of the request under way. Threads and coroutines that a request starts share it."""


def note(
    *,
    action: str | None = None,
    permission: str | None = None,
    task: str | None = None,
    task_id: str | None = None,
    detail: str | None = None,
    count: int | None = None,
) -> None:
    """Say what the request under way does, for the audit record. Outside of a request, nothing is noted."""
    trail = current_trail.get()
    if trail is None:
        return
    said = {
        "action": action,
        "permission": permission,
        "task": task,
        "task_id": task_id,
        "detail": detail,
        "count": count,
    }
    for name, value in said.items():
        if value is not None:
            setattr(trail, name, value)
