"""What Celery's result objects say, once they hold what was stored: without asking any server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.result import ResultSet
from celery.states import READY_STATES

from celeriac.tasks.policies import TaskState
from celeriac.transport.results.awaited import earlier_of, leaves_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["completed", "ended", "is_of_the_task", "state_among", "value_of"]


def value_of(raw: Any) -> Any:
    """The value that the wait has left; of a group, its members' in order.

    Raises:
        Exception: what a task, or an earlier step of its chain, failed with.
    """
    tasks = list(leaves_of(raw))
    missing = any(_held(task) is None for task in tasks)
    for result in (*tasks, *earlier_of(raw, *tasks)) if missing else tasks:
        if _held(result) is not None:
            result.maybe_throw()
    return _value(raw)


def _value(raw: Any) -> Any:
    if not isinstance(raw, ResultSet):
        return raw.result
    members: Any = raw.results
    return [_value(member) for member in members]


def _held(result: Any) -> dict[str, Any] | None:
    """What the object holds already. Celery offers no way to ask that does not ask the server otherwise."""
    return getattr(result, "_cache", None)


def is_of_the_task(error: BaseException, raw: Any) -> bool:
    """Whether the error is what a task failed with, and not what befell the reading of it."""
    tasks = list(leaves_of(raw))
    return any((_held(each) or {}).get("result") is error for each in (*tasks, *earlier_of(raw, *tasks)))


def state_among(raw: Any, heard: Mapping[str, str]) -> TaskState:
    """The state of a task or, of a group, the one that most needs a look.

    Args:
        raw: the result.
        heard: the last states that were heard of, by task; the objects know those that have ended.
    """
    names = [(_held(task) or {}).get("status") or heard.get(task.id, "PENDING") for task in leaves_of(raw)]
    if not isinstance(raw, ResultSet):
        return TaskState.of(names[0])
    return worst({TaskState.of(name) for name in names})


def worst(states: set[TaskState]) -> TaskState:
    """The state of a group whose tasks have these states."""
    for state in (TaskState.FAILURE, TaskState.REVOKED, TaskState.RETRY, TaskState.PROGRESS, TaskState.STARTED):
        if state in states:
            return state
    if states <= {TaskState.SUCCESS}:
        return TaskState.SUCCESS
    return TaskState.STARTED if TaskState.SUCCESS in states else TaskState.PENDING


def ended(raw: Any, metas: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether all tasks have ended, in whatever way."""
    return all(task.id in metas and metas[task.id]["status"] in READY_STATES for task in leaves_of(raw))


def completed(members: Iterable[Any], metas: Mapping[str, Mapping[str, Any]]) -> int:
    """How many members have succeeded, with all that they consist of."""
    return sum(all(metas.get(task.id, {}).get("status") == "SUCCESS" for task in leaves_of(each)) for each in members)
