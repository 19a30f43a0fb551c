"""Running again what has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from celeriac.history.deadletters import DeadLetters
from celeriac.http.problems import ProblemError
from celeriac.http.sending import accepted, runnable, send
from celeriac.security.permissions import authorize, permission_to_run
from celeriac.tasks.call import Call

if TYPE_CHECKING:
    from celeriac.history.records import TaskRecord
    from celeriac.http.services import Services
    from celeriac.security.callers import Caller

__all__ = ["repeat", "repeat_record"]


async def repeat(desk: Services, caller: Caller, task_id: str) -> dict[str, Any]:
    """Send a task again; gives what is answered for it.

    Raises:
        ProblemError: no such task (404), it has not ended, or its arguments were not kept (409).
        UnknownTask: the registry has no such task any more, or it is not for HTTP.
        PermissionMissing: the caller may not run it.
        BrokerUnavailable: the broker did not take it.
    """
    record = await desk.ask_history(desk.history.get, task_id)
    if record is None:
        raise ProblemError(404, "unknown-task-id", "No task has that id, or it is too long ago.")
    new_id = await repeat_record(desk, caller, record)
    return accepted(new_id, str(record.name), desk.prefix)


async def repeat_record(desk: Services, caller: Caller, record: TaskRecord) -> str:
    """The same for one that was looked up."""
    if not record.state.ended:
        raise ProblemError(409, "task-has-not-ended", f"The task has not ended: {record.state}.")
    if record.name is None:
        detail = "What task it was is not known, or not yet: ask again in a second."
        raise ProblemError(409, "arguments-not-kept", detail)
    handle = runnable(desk.registry, record.name)
    authorize(caller, permission_to_run(handle.definition))
    if record.dead_letter is not None:
        letters = DeadLetters(cast("Any", desk.celery))
        await desk.ask_broker(letters.replay, record.dead_letter)
        return record.id
    if record.args is None or record.kwargs is None:
        detail = "The arguments were not kept: they hold secrets, or are too long. Run it anew with POST /tasks."
        raise ProblemError(409, "arguments-not-kept", detail)
    return await send(Call(handle.name, list(record.args), dict(record.kwargs), {}), handle)
