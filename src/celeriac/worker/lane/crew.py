"""Coroutines that run side by side in a child, each with a thread that waits for it inside Celery's tracer."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Protocol

from celery.exceptions import Ignore

from celeriac.tasks.interruption import GivenBack
from celeriac.tasks.loop import Bounds, bounds, when_stuck
from celeriac.worker.given_back import give_back
from celeriac.worker.lane.slots import BEGUN

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from celeriac.worker.lane.slots import Slot

__all__ = ["Crew", "Host"]

logger = logging.getLogger(__name__)


class Host(Protocol):
    """Who runs all else in this child."""

    slot: Slot
    settling: Any

    def aborted(self, request: Any, error: BaseException) -> None:
        """Fail a task whose error came through Celery's tracer."""
        ...


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
        self._futures: set[Future[None]] = set()
        self._lock = threading.Lock()
        self._abandoned = False
        self.on_room: Callable[[], None] = _nothing
        """Called when a place becomes free."""
        self.on_stuck: Callable[[], None] = _nothing
        """Called when a coroutine blocks the loop and was given up: this process can run no other."""

    @property
    def room(self) -> int:
        """How many more may begin."""
        return len(self._places)

    def start(
        self,
        request: Any,
        run: Callable[[], Any],
        callback: Callable[[Any], None],
        soft: float | None,
        hard: float | None,
    ) -> None:
        """Begin a request of Celery's; ``run`` is its tracer, ``callback`` hears of its outcome."""
        with self._lock:
            place = self._places.pop()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._size, thread_name_prefix="celeriac-coroutine")
            when_stuck(self._abandon)
        self._runner.slot.begin_beside(place, int(request.message.delivery_tag))
        limits = Bounds(soft, hard)
        self._running[place] = (request, time.monotonic(), limits)
        future = self._executor.submit(self._run, place, request, run, callback, limits)
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)

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
        wait(list(self._futures))

    def _abandon(self, blocker: Bounds | None) -> None:
        """Let others have what runs on a loop that no longer goes round; who blocks it is the only one to blame."""
        logger.error(
            "a coroutine blocks the event loop past its time limit: this process gives back the others and ends"
        )
        self.on_stuck()
        for _, _, limits in list(self._running.values()):
            limits.interrupt(GivenBack(counted=limits is blocker), unwinds=False)

    def _run(
        self, place: int, request: Any, run: Callable[[], Any], callback: Callable[[Any], None], limits: Bounds
    ) -> None:
        runner = self._runner
        token = bounds.set(limits)
        try:
            request.on_accepted(os.getpid(), time.monotonic())
            if not request.task.acks_late:
                runner.settling.flush()
            outcome = run()
            if (signum := getattr(request, "terminated", None)) is not None:
                request._announce_revoked("terminated", True, signum, False)  # noqa: FBT003, SLF001  Celery's own way
            else:
                callback(outcome)
        except GivenBack as back:
            give_back(request, back, runner.settling.give_back)
        except BaseException as error:  # noqa: BLE001  it ends the task, not its worker
            runner.aborted(request, error)
        finally:
            bounds.reset(token)
            del self._running[place]
            runner.slot.end_beside(place)
            with self._lock:
                self._places.append(place)
            self.on_room()


def _nothing() -> None:
    """Nobody asked."""
