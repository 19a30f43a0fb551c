"""Revoking tasks, so that it lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.exceptions import OperationalError

from celeriac.history.records import HistoryState
from celeriac.http.lookup import look
from celeriac.http.problems import ProblemError, unavailable
from celeriac.tasks.policies import TaskState

if TYPE_CHECKING:
    from celeriac.http.services import Services

__all__ = ["revoke", "tell_workers"]


async def revoke(desk: Services, task_id: str, *, terminate: bool) -> TaskState:
    """Have a task never start, or with ``terminate`` end; gives the state it has now.

    Raises:
        ProblemError: there is no such task (404), it has ended (409), or the broker does not answer (503).
    """
    found = await look(desk, task_id)
    if found.ended and found.status is not TaskState.REVOKED:
        raise ProblemError(409, "task-has-ended", f"The task has ended: {found.status}.")
    await tell_workers(desk, [task_id], terminate=terminate)
    waits = found.meta is None and (found.record is None or found.record.state is HistoryState.QUEUED)
    if not waits:
        return found.status
    return TaskState.REVOKED


async def tell_workers(desk: Services, ids: list[str], *, terminate: bool) -> None:
    """Write down that tasks are revoked, and tell the workers that run.

    Raises:
        ProblemError: the broker does not answer: 503. They may be written down all the same.
    """
    control: Any = desk.celery.control
    try:
        await desk.ask_broker(control.revoke, ids, terminate=terminate)
    except (OperationalError, ConnectionError) as error:
        unavailable(f"The broker did not answer: {type(error).__name__}.", error)
