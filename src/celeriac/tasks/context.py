"""What a running task may ask and tell."""

from __future__ import annotations

import logging
from contextvars import ContextVar, Token
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from celeriac.tasks.iteration import SAVE_EVERY, AsyncIteration, CursorT, Iteration
from celeriac.tasks.policies import TaskState
from celeriac.tasks.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Mapping

    from celeriac.flow.frame import Flow
    from celeriac.tasks.course import Course

__all__ = ["RetryRequested", "TaskContext", "current_context"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
_current: ContextVar[TaskContext | None] = ContextVar("celeriac_task", default=None)


class RetryRequested(BaseException):
    """A task asked to be run again. Not an ``Exception``, so that a task's own ``except`` does not swallow it."""

    def __init__(self, countdown: float | None, cause: Exception | None, max_retries: int | None) -> None:
        super().__init__(countdown)
        self.countdown = countdown
        self.cause = cause
        self.max_retries = max_retries


def current_context() -> TaskContext | None:
    """The context of the task that runs here, in this thread or coroutine, or ``None``."""
    return _current.get()


class TaskContext:
    """The running task, to a controller that names it in its constructor.

    Attributes:
        id: the task's id, as the caller got it.
        name: the task's name.
        attempt: 1 the first time, 2 after one retry, and so on.
        queue: the queue the message came from, if the broker said.
        headers: the message's headers that are not Celery's own.
        started: when this attempt began, UTC.
        deadline: when the first time limit of this attempt strikes, or the deadline of the task, UTC; ``None`` without.
    """

    def __init__(self, task: Any) -> None:
        request = task.request
        self._task = task
        self._request = request
        self.id: str = request.id
        self.name: str = task.name
        self.attempt: int = (request.retries or 0) + 1
        self.root_id: str = request.root_id or request.id
        self.started = datetime.now(UTC)
        self._course: Course | None = None

    @classmethod
    def current(cls) -> TaskContext:
        """The context of the task that runs here.

        Raises:
            LookupError: no task runs here.
        """
        if (context := _current.get()) is None:
            msg = "no task runs here: TaskContext exists only while a worker runs a task"
            raise LookupError(msg)
        return context

    def enter(self) -> Token[TaskContext | None]:
        """Make this the current context; :meth:`leave` takes the token back."""
        return _current.set(self)

    @staticmethod
    def leave(token: Token[TaskContext | None]) -> None:
        """End what :meth:`enter` began."""
        _current.reset(token)

    @property
    def queue(self) -> str | None:
        """The routing key the message came with; with Celery's default exchanges that is the queue's name."""
        delivery: dict[str, Any] = self._request.delivery_info or {}
        return delivery.get("routing_key")

    @property
    def headers(self) -> Mapping[str, Any]:
        """What the caller passed as ``headers``."""
        return self._request.headers or {}

    @property
    def deadline(self) -> datetime | None:
        """When this attempt must have ended: by its first time limit, or by the task's deadline."""
        hard, soft = self._request.timelimit or (None, None)
        conf = self._task.app.conf
        said = (
            soft or self._task.soft_time_limit or conf.task_soft_time_limit,
            hard or self._task.time_limit or conf.task_time_limit,
        )
        moments = [self.started + timedelta(seconds=float(limit)) for limit in said if limit]
        flow: Flow | None = getattr(self._task, "flow", None)
        if flow is not None and flow.deadline is not None:
            moments.append(flow.deadline.moment(self.headers))
        return min(moments, default=None)

    def progress(self, current: int | None = None, total: int | None = None, **details: Any) -> None:
        """Store state ``PROGRESS`` with exactly what is said here, for ``TaskResult.progress`` to read.

        A result backend that does not answer costs the report, never the task.

        Args:
            current: steps done.
            total: steps in all.
            details: anything else that JSON carries, such as ``message="Fetching"``.
        """
        said: dict[str, Any] = {"current": current, "total": total}
        meta = {name: value for name, value in said.items() if value is not None} | details
        try:
            self._task.backend.store_result(self.id, meta, TaskState.PROGRESS.value, request=self._request)
        except Exception as error:  # noqa: BLE001  each backend has errors of its own, and none may stop the task
            logger.warning("progress of %s[%s] was not stored: %s", self.name, self.id, error)

    async def aprogress(self, current: int | None = None, total: int | None = None, **details: Any) -> None:
        """The same for coroutines."""
        await in_thread(self.progress, current, total, **details)

    def iterate(
        self,
        source: Callable[[CursorT | None], Iterable[T]],
        cursor: Callable[[T], CursorT],
        *,
        name: str = "",
        save_every: float = SAVE_EVERY,
    ) -> Iteration[T]:
        """Go through items, and on from the same place should this run of the task not come to its end.

        An item is done once the next one is asked for. A worker that is told to end lets the item in hand be done,
        saves the place, and lets another worker go on at once, at the cost of no retry. After a crash, a failure or a
        retry it goes on from the place that was saved last.

        Args:
            source: gives the items after a place, ``None`` for all, in an order that does not change.
            cursor: gives an item's place, such as its id: str, int, float, or a list or dict of those.
            name: tells the loops of one task apart, where it has several.
            save_every: seconds between two saves; 0 to save after each item.

        Raises:
            InvalidIteration: a loop like that cannot be resumed; the text says why.
        """
        return Iteration(self._find_course(), source, cursor, name=name, save_every=save_every)

    def aiterate(
        self,
        source: Callable[[CursorT | None], AsyncIterable[T] | Iterable[T]],
        cursor: Callable[[T], CursorT],
        *,
        name: str = "",
        save_every: float = SAVE_EVERY,
    ) -> AsyncIteration[T]:
        """The same for coroutines: ``async for item in context.aiterate(...)``."""
        return AsyncIteration(self.name, self._find_course, source, cursor, name=name, save_every=save_every)

    def conclude(self, *, succeeded: bool) -> None:
        """The run has ended: settle where its loops are. For who runs tasks."""
        if self._course is not None:
            self._course.conclude(succeeded=succeeded)

    def _find_course(self) -> Course:
        if self._course is None:
            from celeriac.tasks.course import course_of  # noqa: PLC0415  it brings redis-py along

            self._course = course_of(self._task)
        return self._course

    def retry(
        self, cause: Exception | None = None, *, countdown: float | None = None, max_retries: int | None = None
    ) -> NoReturn:
        """End this attempt and run the task again.

        Args:
            cause: the error to fail with when no attempts are left.
            countdown: seconds until the next attempt; the task's backoff, or the default delay, otherwise.
            max_retries: the limit for this call; the task's, or the default, otherwise.
        """
        raise RetryRequested(countdown, cause, max_retries)
