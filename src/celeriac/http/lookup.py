"""Finding a task: in the result backend, in the history, among those that were revoked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from celeriac.http.problems import ProblemError
from celeriac.http.views import is_final, seen, status_of

if TYPE_CHECKING:
    from celeriac.history.records import TaskRecord
    from celeriac.http.services import Services
    from celeriac.tasks.policies import TaskState

__all__ = ["Found", "look"]


@dataclass(frozen=True, slots=True)
class Found:
    """A task, as far as it is known."""

    id: str
    meta: dict[str, Any] | None
    record: TaskRecord | None
    revoked: bool

    @property
    def status(self) -> TaskState:
        """Its status."""
        return status_of(self.meta, self.record, revoked=self.revoked)

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return is_final(self.status)

    def view(self, desk: Services) -> dict[str, Any]:
        """It, for a caller."""
        return seen(self.id, self.meta, self.record, desk.registry, revoked=self.revoked)


async def look(desk: Services, task_id: str, *, together: bool = False) -> Found:
    """Find a task.

    Args:
        desk: what the routes share.
        task_id: its id.
        together: let all that look for it at this moment have one answer, and wait longer for it.

    Raises:
        ProblemError: nobody has ever heard of it: 404. Without a history, that cannot be told.
    """
    meta = await desk.states.read(task_id)
    record = None
    if desk.keeps_history:
        record = await (_together(desk, task_id) if together else desk.ask_history(desk.history.get, task_id))
    if meta is None and record is None and desk.keeps_history:
        raise ProblemError(404, "unknown-task-id", "No task has that id, or it is too long ago.")
    if record is not None and record.state.ended and not is_final(status_of(meta, None)):
        meta = await desk.states.read(task_id)  # it ended between the two questions
    revoked = False
    waits = (meta is None or meta["status"] == "RETRY") and not (record is not None and record.state.ended)
    if waits and desk.revocations is not None:
        revoked = bool(await desk.ask_redis(desk.revocations.among, [task_id]))
    return Found(task_id, meta, record, revoked)


async def _together(desk: Services, task_id: str) -> TaskRecord | None:
    found = desk.looking.get(task_id)
    if found is None:
        found = desk.looking[task_id] = asyncio.ensure_future(desk.ask_for_streams(desk.history.get, task_id))
        found.add_done_callback(partial(_looked, desk, task_id))
    return await asyncio.shield(found)


def _looked(desk: Services, task_id: str, found: asyncio.Task[TaskRecord | None]) -> None:
    desk.looking.pop(task_id, None)
    if not found.cancelled():
        found.exception()  # seen, should everybody who asked be gone
