"""The children as their parent knows them."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection
from signal import SIGKILL, SIGUSR1, SIGUSR2
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket

    from celeriac.worker.lane.nursery import Nursery
    from celeriac.worker.lane.slots import Slot

__all__ = ["GRACE", "End", "Member", "Why"]

GRACE: Final = 0.3
"""Seconds that a child gets to settle, or to heed a signal, before it is killed."""
_HEEDED: Final = 1.0
"""Seconds in which a signal to a task has reached it."""
_WINDOW: Final = 2
"""Requests to one child that may be unanswered: what it does not read must not block its parent."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why the parent ended a child."""

    cause: str
    """``time limit``, ``revoked``, ``shutdown`` or ``silent``."""
    task_id: str = ""
    limit: float = 0.0
    """Seconds of the time limit that struck."""
    signum: int = SIGKILL


@dataclass(frozen=True, slots=True)
class End:
    """What a child left behind."""

    pid: int
    status: int
    """Exit code, negative for a signal."""
    why: Why | None
    """``None`` where nobody ended it: it crashed."""
    owner: str
    begun: list[str]
    """Tokens of what it had begun and not ended."""
    task: tuple[str, str]
    """Id and name of its last task."""
    record: bytes


class Member:
    """One child: its slot, and the pipe to it."""

    def __init__(self, slot: Slot, pipe: socket.socket, nursery: Nursery) -> None:
        self.slot = slot
        self.nursery = nursery
        self.pipe = Connection(pipe.detach())
        self.pid = 0
        self.why: Why | None = None
        self.leaving = False
        """Whether it was told to end by itself."""
        self.recalled = -1
        """The start for which it was told to give back what waits."""
        self.warned = -1
        self.kill_at = 0.0
        """When it is killed, by the monotonic clock; 0 for never."""
        self.released_at = 0.0
        self.heir: Member | None = None
        """Who takes over as soon as this one leaves."""
        self.standby = False
        """Whether it waits for another one to leave."""
        self.totals: dict[str, int] = {}
        """Tasks done by name, as far as it has told."""
        self._numbers = count(1)
        self._outbox: deque[tuple[int, str, Any]] = deque()
        self._asked: dict[int, Future[Any]] = {}

    def give_way(self) -> None:
        """Let the heir begin: this one begins no more tasks."""
        heir, self.heir = self.heir, None
        if heir is not None:
            heir.standby = heir.slot.hold = False

    def ask(self, name: str, argument: Any = None) -> Future[Any]:
        """Ask the child; the future has its answer, or ``None`` when it ended first."""
        number, future = next(self._numbers), Future[Any]()
        self._asked[number] = future
        self._outbox.append((number, name, argument))
        return future

    def send(self) -> None:
        """Send what was asked, as far as the child listens."""
        while self._outbox and len(self._asked) - len(self._outbox) < _WINDOW:
            try:
                if not select.select([], [self.pipe], [], 0)[1]:
                    return
                self.pipe.send(self._outbox.popleft())
            except (OSError, ValueError):
                self.hang_up()
                return

    def receive(self) -> bool:
        """Take in one answer; False when the child hung up."""
        try:
            number, answer = self.pipe.recv()
        except (EOFError, OSError):
            self.hang_up()
            return False
        if not number:
            self.totals = answer or self.totals
        elif (future := self._asked.pop(number, None)) is not None:
            future.set_result(answer)
        return True

    def last_words(self) -> None:
        """Take in what the child said before it ended."""
        try:
            while not self.pipe.closed and self.pipe.poll(0):
                self.receive()
        except OSError:
            pass
        self.hang_up()

    def hang_up(self) -> None:
        """Close the pipe; nobody will be answered any more."""
        self.pipe.close()
        self._outbox.clear()
        while self._asked:
            _, future = self._asked.popitem()
            future.set_result(None)

    def signal(self, signum: int) -> None:
        """Send a signal, if the child is still there."""
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def end(self, why: Why, signum: int = SIGKILL, patience: float = 0.0) -> None:
        """End the child for a reason; what does not heed the signal is killed after ``patience`` seconds."""
        if self.why is None:
            self.why = why
        self.slot.condemned = True
        if signum != SIGKILL:
            self.signal(signum)
        self.kill_at = self.kill_at or time.monotonic() + patience
        self.kill_if_due()

    def end_task(self, task_id: str, signum: int) -> bool:
        """End the child if its main thread runs that very task; whether it does.

        A signal that ends no process, such as SIGUSR1, is passed on to the task alone.
        """
        slot = self.slot
        if not self._runs(task_id):
            return False
        slot.hold = True
        if not self._runs(task_id):  # it ended meanwhile
            slot.hold = False
            return False
        if signum in {SIGUSR1, SIGUSR2}:
            slot.condemned = True
            self.signal(signum)
            self.released_at = time.monotonic() + _HEEDED
            return True
        if not slot.owner:
            self.ask("settle", task_id)
        self.end(Why("revoked", task_id, signum=signum), signum, GRACE)
        return True

    def release_if_due(self) -> None:
        """Let a child go on that was held for a signal to its task."""
        if self.released_at and time.monotonic() > self.released_at:
            self.released_at, self.slot.hold, self.slot.condemned = 0.0, False, False

    def _runs(self, task_id: str) -> bool:
        return self.slot.busy and not self.slot.gated and self.slot.task[0] == task_id

    def kill_if_due(self) -> None:
        """Kill the child if its time has come."""
        if self.kill_at and time.monotonic() >= self.kill_at:
            self.signal(SIGKILL)

    def left_behind(self, status: int) -> End:
        """What is known of a child that has ended."""
        slot = self.slot
        return End(self.pid, status, self.why, slot.owner, slot.begun, slot.task, slot.message)
