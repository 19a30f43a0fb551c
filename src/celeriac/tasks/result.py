"""What became of a call."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from celery.exceptions import BackendGetMetaError, TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import GroupResult
from kombu.exceptions import KombuError
from kombu.utils.url import maybe_sanitize_url

from celeriac.exceptions import ResultError, ResultTimeout, ResultUnavailable, TaskRevoked
from celeriac.tasks.guard import refuse_inside_loop, refuse_inside_task
from celeriac.tasks.outcome import completed, ended, is_of_the_task, state_among, value_of
from celeriac.tasks.policies import TaskState
from celeriac.tasks.threads import in_thread
from celeriac.transport.results.awaited import earlier_of, leaves_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

R_co = TypeVar("R_co", covariant=True)

__all__ = ["Progress", "TaskResult"]

_PLAINLY_REVOKED = {"", "revoked", "None"}
FIRST_LOOK, LAST_LOOK = 0.002, 0.1
"""Seconds between two looks of :meth:`TaskResult.aget`: doubling from the first to the last."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is."""

    current: int
    total: int
    details: Mapping[str, Any]

    @property
    def percent(self) -> int:
        """0 to 100; 0 where the total is not known."""
        return int(self.current / self.total * 100) if self.total > 0 else 0

    @property
    def message(self) -> str:
        """What the task said beside the numbers, as ``message`` or ``status``."""
        return str(self.details.get("message") or self.details.get("status") or "")

    @classmethod
    def of(cls, meta: Any) -> Progress:
        """From what a task stored: ``current`` and ``total`` are 0 and 100 where it named none."""
        said: dict[str, Any] = cast("dict[str, Any]", meta) if isinstance(meta, dict) else {"status": meta}
        details = {name: value for name, value in said.items() if name not in {"current", "total"}}
        return cls(int(said.get("current", 0)), int(said.get("total", 100)), details)


class TaskResult(Generic[R_co]):
    """A promise of the task's typed result. Reading it sends nothing to a worker."""

    def __init__(self, task: str, raw: Any, load: Callable[[Any], R_co]) -> None:
        self.task = task
        self.raw = raw
        """Celery's own result object."""
        self._load = load

    def __repr__(self) -> str:
        return f"<result of {self.task}[{self.id}]>"

    @property
    def id(self) -> str:
        """The task's id; of a group, the group's."""
        return str(self.raw.id)

    @property
    def dropped(self) -> bool:
        """Whether nothing was sent, as an equal call is under way: this is the result of that one, with its id."""
        return bool(getattr(self.raw, "dropped", False))

    def get(self, timeout: float | None = None) -> R_co:
        """Wait for the result, at most ``timeout`` seconds, and return it as the task declares it.

        Raises:
            ResultTimeout: it did not come in time.
            InvalidResult: what came is not of the declared type.
            TaskRevoked: the task was revoked.
            ResultUnavailable: the result backend did not answer.
            BlockingCall: inside a running event loop, or inside a task.
            Exception: whatever the task itself failed with.
        """
        refuse_inside_loop(f"{self.task}: get()", "await aget()")
        refuse_inside_task(f"{self.task}: get()")
        return self._read(timeout)

    async def aget(self, timeout: float | None = None) -> R_co:  # noqa: ASYNC109  reads like get(), and ends nothing
        """The same for coroutines: the event loop goes on while the task runs.

        Raises:
            ResultTimeout: and the others of :meth:`get`, but for a loop.
        """
        refuse_inside_task(f"{self.task}: aget()")
        if (shared := self._shared()) is None:
            return await self._poll(timeout)
        with self._translated(timeout):
            plain = self._came(await shared.asettle(self.raw, timeout), timeout)
        return self._load(plain)

    def _read(self, timeout: float | None) -> R_co:
        with self._translated(timeout):
            if (shared := self._shared()) is not None:
                plain = self._came(shared.settle(self.raw, timeout), timeout)
            else:
                # Celery's own check knows the process alone; ours, above, knows the task.
                plain = self.raw.get(timeout=timeout, disable_sync_subtasks=False)
        return self._load(plain)

    def _came(self, missing: Mapping[str, str] | None, timeout: float | None) -> Any:
        """What the wait has left, or the error for what it did not."""
        if missing is not None:
            raise self._timeout(timeout or 0, state_among(self.raw, missing).value)
        return value_of(self.raw)

    async def _poll(self, timeout: float | None) -> R_co:  # noqa: ASYNC109  as aget()
        """For backends that can only be asked again and again."""
        end = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_LOOK
        while not await in_thread(self._settled):
            if end is not None and time.monotonic() >= end:
                raise self._timeout(timeout or 0, (await in_thread(self._state)).value)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_LOOK)
        return await in_thread(self._read, timeout)

    def _shared(self) -> Any:
        """Our result backend, which waits for everybody over one connection; ``None`` where it is another, or none."""
        backend: Any = getattr(self.raw, "backend", None)
        return backend if hasattr(backend, "settle") and not getattr(self.raw, "ignored", False) else None

    def ready(self) -> bool:
        """Whether the task has ended, in whatever way."""
        with self._translated(None):
            if (shared := self._shared()) is not None:
                return ended(self.raw, shared.look(self.raw))
            return bool(self.raw.ready())

    def _settled(self) -> bool:
        """Ready, or never to be: of a chain, an earlier step has failed."""
        with self._translated(None):
            return bool(self.raw.ready() or any(step.failed() for step in earlier_of(self.raw)))

    @property
    def state(self) -> TaskState:
        """The state now. An id that nobody knows is ``PENDING``; of a group, the state that most needs a look."""
        with self._translated(None):
            return self._state()

    def _state(self) -> TaskState:
        if (shared := self._shared()) is not None:
            return state_among(self.raw, {task: meta["status"] for task, meta in shared.look(self.raw).items()})
        return state_among(self.raw, {task.id: task.state for task in leaves_of(self.raw)})

    @property
    def progress(self) -> Progress | None:
        """How far the task is, or ``None`` where it said nothing yet; of a group, how many of its tasks are done."""
        with self._translated(None):
            shared = self._shared()
            if isinstance(self.raw, GroupResult):
                done = self.raw.completed_count() if shared is None else completed(self.raw, shared.look(self.raw))
                return Progress(done, len(self.raw), {})
            nothing = {"status": "PENDING"}
            meta = self.raw._get_task_meta() if shared is None else shared.look(self.raw).get(self.raw.id, nothing)  # noqa: SLF001  one read for state and value, which .state and .info do not give
        if TaskState.of(meta["status"]) is not TaskState.PROGRESS:
            return None
        return Progress.of(meta.get("result"))

    def revoke(self, *, terminate: bool = False, signal: str = "SIGTERM") -> None:
        """Never start the task; with ``terminate``, also end it if it runs.

        It is written down, so that workers that start later know it too; see the guarantees page for how long.
        """
        with self._translated(None):
            self.raw.revoke(terminate=terminate, signal=signal)

    def forget(self) -> None:
        """Delete the stored result."""
        with self._translated(None):
            self.raw.forget()

    def _timeout(self, seconds: float, state: str) -> ResultTimeout:
        return ResultTimeout(task=self.task, id=self.id, seconds=seconds, state=state)

    @contextmanager
    def _translated(self, timeout: float | None) -> Generator[None]:
        """Celery's and the backend's errors as ours; what the task raised passes as it is."""
        try:
            yield
        except TaskRevokedError as error:
            why = str(error)
            raise TaskRevoked(
                task=self.task, id=self.id, why=f": {why}" if why not in _PLAINLY_REVOKED else ""
            ) from error
        except Exception as error:
            if isinstance(error, ResultError) or is_of_the_task(error, self.raw):
                raise
            if isinstance(error, CeleryTimeoutError):
                raise self._timeout(timeout or 0, self._state().value) from error
            if isinstance(error, _backend_errors()):
                where = maybe_sanitize_url(str(getattr(self.raw.backend, "url", "") or "the result backend"))
                reason = _first_line(error)
                raise ResultUnavailable(task=self.task, id=self.id, backend=where, reason=reason) from error
            raise


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]


def _backend_errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError  # noqa: PLC0415  slow to import, and seldom needed

    return KombuError, BackendGetMetaError, RedisError
