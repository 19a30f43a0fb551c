"""A registry that records instead of sending."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from celeriac.exceptions import ResultTimeout
from celeriac.tasks.policies import TaskState

if TYPE_CHECKING:
    from celeriac.tasks.call import Call
    from celeriac.tasks.handle import TaskHandle
    from celeriac.tasks.workflow import Step

__all__ = ["RecordedResult", "RecordingPublisher"]


class RecordedResult:
    """The result of a task that was never sent: pending for ever."""

    parent = None
    backend = None

    def __init__(self, task: str, task_id: str) -> None:
        self.task = task
        self.id = task_id
        self.state = TaskState.PENDING.value
        self.revoked = False

    def ready(self) -> bool:
        """Never."""
        return False

    def get(self, timeout: float | None = None, **_options: Any) -> Any:
        """There is nothing to wait for.

        Raises:
            ResultTimeout: at once, so that no test hangs.
        """
        raise ResultTimeout(task=self.task, id=self.id, seconds=timeout or 0.0, state="PENDING (recorded, not sent)")

    def revoke(self, **_options: Any) -> None:
        """Note that somebody wanted it revoked."""
        self.revoked = True
        self.state = TaskState.REVOKED.value

    def forget(self) -> None:
        """Nothing is stored, so nothing is forgotten."""

    def _get_task_meta(self) -> dict[str, Any]:
        return {"status": self.state, "result": None}


class RecordingPublisher:
    """Takes every call, checks it as the real one does, and keeps it.

    ::

        publisher = RecordingPublisher()
        registry = TasksRegistry(publisher)
        registry.ping.delay()
        assert [call.task for call in publisher.calls] == ["ping"]
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """Single calls, in order, with arguments as plain JSON."""
        self.workflows: list[Step[Any]] = []
        """Workflows, in order."""

    def publish(self, call: Call) -> RecordedResult:
        """Keep a call."""
        self.calls.append(call)
        return RecordedResult(call.task, call.options.get("task_id") or str(uuid4()))

    def start(self, step: Step[Any]) -> RecordedResult:
        """Keep a workflow."""
        self.workflows.append(step)
        return RecordedResult(step.name, str(uuid4()))

    def calls_of(self, handle: TaskHandle[..., Any]) -> list[Call]:
        """The calls of one task."""
        return [call for call in self.calls if call.task == handle.name]

    def clear(self) -> None:
        """Forget everything recorded so far."""
        self.calls.clear()
        self.workflows.clear()
