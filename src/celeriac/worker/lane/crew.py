"""Coroutines that run side by side in a child, each with a thread that waits for it inside Celery's tracer."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from celery.exceptions import Ignore

from celeriac.tasks.interruption import GivenBack
from celeriac.tasks.loop import Bounds, bounds, when_stuck
from celeriac.worker.given_back import give_back
from celeriac.worker.lane.slots import BEGUN

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.worker.lane.slots import Slot

__all__ = ["Crew", "Host"]

logger = logging.getLogger(__name__)

_WITHOUT_THREADS: Final = 1.0
"""Seconds without room after a thread could not be started: what is given back would come again at once."""


class Host(Protocol):
    """Who runs all else in this child."""

    slot: Slot
    settling: Any

    def aborted(self, request: Any, error: BaseException) -> None:
        """Fail a task whose error came through Celery's tracer."""
        ...


@dataclass(slots=True, eq=False)
class _Job:
    request: Any
    run: Callable[[], Any]
    callback: Callable[[Any], None]
    soft: float | None
    hard: float | None
    queued: bool = False
    """Whether there was no room when it came."""
    withdrawn: bool = False
    """Whether no thread was to be had. The executor has it all the same, for whichever becomes free."""


class Crew:
    """Runs the requests of ``async def`` tasks, so that the main thread goes on with others.

    Celery keeps the running task in variables of its thread, and its tracer is no coroutine: hence the threads, which
    do nothing but wait. The coroutines all run on the process's one event loop.

    Args:
        runner: runs all else.
        size: how many run at once.
    """

    def __init__(self, runner: Host, size: int) -> None:
        self._runner = runner
        self._places = list(range(min(size, BEGUN - 1), 0, -1))
        self._executor: ThreadPoolExecutor | None = None
        self._size = len(self._places)
        self._running: dict[int, tuple[Any, float, Bounds]] = {}
        self._queued: deque[_Job] = deque()
        self._lock = threading.Condition()
        self._closed = False
        self._full_until = 0.0
        self.on_room: Callable[[], None] = _nothing
        """Called when a place becomes free."""
        self.on_stuck: Callable[[], None] = _nothing
        """Called when a coroutine blocks the loop and was given up: this process can run no other."""

    @property
    def room(self) -> int:
        """How many more may begin."""
        if self._closed or time.monotonic() < self._full_until:
            return 0
        return max(len(self._places) - len(self._queued), 0)

    def start(
        self,
        request: Any,
        run: Callable[[], Any],
        callback: Callable[[Any], None],
        soft: float | None,
        hard: float | None,
    ) -> None:
        """Begin a request of Celery's, as soon as there is room.

        Args:
            request: of Celery's.
            run: its tracer.
            callback: hears of its outcome.
            soft: seconds until the soft time limit, or ``None``.
            hard: seconds until the hard one, or ``None``.
        """
        with self._lock:
            full = bool(self._queued) or not self._places
            self._queued.append(_Job(request, run, callback, soft, hard, queued=full))
        self._begin()

    def give_back(self) -> None:
        """Let others have what has not begun. From any thread."""
        with self._lock:
            jobs = list(self._queued)
            self._queued.clear()
        self._return(jobs)

    def close(self) -> None:
        """Begin nothing more, and let others have what has not begun. From any thread."""
        with self._lock:
            self._closed = True
        self.give_back()

    def running(self) -> list[tuple[Any, float]]:
        """The messages whose coroutines run, each with when it began."""
        return [(request.message, started) for request, started, _ in list(self._running.values())]

    def cancel(self, task_id: str, signum: int) -> bool:
        """Cancel a revoked task's coroutine; False if none of its runs here."""
        for request, _, limits in list(self._running.values()):
            if request.id == task_id:
                request.terminated = signum
                limits.interrupt(Ignore("terminated"))
                return True
        return False

    def join(self) -> None:
        """Wait for all that run."""
        with self._lock:
            self._lock.wait_for(lambda: not self._running)

    def _abandon(self, blocker: Bounds | None) -> None:
        """Let others have what runs on a loop that no longer goes round; who blocks it is the only one to blame."""
        logger.error(
            "a coroutine blocks the event loop past its time limit: this process gives back the others and ends"
        )
        self.close()
        self.on_stuck()
        for _, _, limits in list(self._running.values()):
            limits.interrupt(GivenBack(counted=limits is blocker), unwinds=False)

    def _begin(self) -> None:
        """Begin what waits, in order, as far as there is room."""
        with self._lock:
            while self._queued and self._places and not self._closed:
                job, place = self._queued.popleft(), self._places.pop()
                limits = Bounds(job.soft, job.hard)
                self._runner.slot.begin_beside(place, int(job.request.message.delivery_tag))
                self._running[place] = (job.request, time.monotonic(), limits)
                try:
                    self._hand_over(place, job, limits)
                except Exception:
                    logger.exception("no thread can be started for %s[%s]", job.request.name, job.request.id)
                    job.withdrawn = True
                    self._vacate(place)
                    self._full_until = time.monotonic() + _WITHOUT_THREADS
                    self._queued.appendleft(job)
                    break
            else:
                if not self._closed:
                    return
            jobs = list(self._queued)
            self._queued.clear()
        self._return(jobs)

    def _return(self, jobs: list[_Job]) -> None:
        for job in reversed(jobs):  # each goes to the head of its queue
            try:
                self._runner.settling.give_back(job.request.message)
            except Exception as error:  # noqa: BLE001  it goes back with the connection
                logger.warning("%s[%s] cannot go back yet: %s", job.request.name, job.request.id, error)

    def _hand_over(self, place: int, job: _Job, limits: Bounds) -> None:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._size, thread_name_prefix="celeriac-coroutine")
            when_stuck(self._abandon)
        self._executor.submit(self._run, place, job, limits)

    def _vacate(self, place: int) -> None:
        with self._lock:
            del self._running[place]
            self._runner.slot.end_beside(place)
            self._places.append(place)
            self._lock.notify_all()

    def _run(self, place: int, job: _Job, limits: Bounds) -> None:
        with self._lock:  # until its place is made sure of
            if job.withdrawn:
                return
        runner, request = self._runner, job.request
        token = bounds.set(limits)
        try:
            if job.queued and request.revoked():
                return
            request.on_accepted(os.getpid(), time.monotonic())
            if not request.task.acks_late:
                runner.settling.flush()
            outcome = job.run()
            if (signum := getattr(request, "terminated", None)) is not None:
                request._announce_revoked("terminated", True, signum, False)  # noqa: FBT003, SLF001  Celery's own way
            else:
                job.callback(outcome)
        except GivenBack as back:
            give_back(request, back, runner.settling.give_back)
        except BaseException as error:  # noqa: BLE001  it ends the task, not its worker
            runner.aborted(request, error)
        finally:
            bounds.reset(token)
            self._vacate(place)
            self._begin()
            self.on_room()


def _nothing() -> None:
    """Nobody asked."""
