"""Who looks after the children: starts them, holds them to their limits, ends them, and sees to what they leave."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

from celeriac.worker.lane.clerk import Clerk
from celeriac.worker.lane.members import GRACE, Member, Why
from celeriac.worker.lane.nursery import Birth, Nursery
from celeriac.worker.lane.slots import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from celeriac.worker.lane.slots import SlotTable

__all__ = ["Supervisor"]

logger = logging.getLogger(__name__)

_LOOK_EVERY: Final = 0.05
"""Seconds between two looks at the slots."""
_STUCK: Final = 0.1
"""Seconds that a task may run before others get what was claimed behind it."""
_TO_GET_READY: Final = 0.15
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 10.0


class Supervisor:
    """A thread that needs neither the broker nor the main thread, so that limits hold whatever those are waiting for.

    Args:
        app: the application.
        hostname: the worker's name.
        table: the slots.
        nursery: makes what forks children.
        start_timeout: seconds in which a child must be ready.
        max_tasks: after which a child leaves, or ``None``.
    """

    def __init__(
        self,
        app: Any,
        hostname: str,
        table: SlotTable,
        nursery: Callable[[], Nursery],
        *,
        start_timeout: float,
        max_tasks: int | None,
    ) -> None:
        self.table = table
        self.clerk = Clerk(app, hostname)
        self.configuration: Callable[[], list[tuple[str, Any]]] = list
        """Gives what a new child has to be told."""
        self.total = 0
        """Tasks done by children that have ended."""
        self.totals: Counter[str] = Counter()
        """The same by name, as far as they said so."""
        self._make_nursery = nursery
        self._nursery: Nursery | None = None
        self._start_timeout = max(start_timeout, 10.0)
        self._max_tasks = max_tasks
        self._members: dict[int, Member] = {}
        self._target = 0
        self._lock = threading.RLock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._winding_down = False
        self._ended = False
        self._former: list[Nursery] = []
        self._stillborn = 0
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._run, name="celeriac-supervisor", daemon=True)

    # -- what others ask for; from any thread -------------------------------------------------------------------------

    def start(self, target: int) -> None:
        """Have ``target`` children from now on."""
        self._target = target
        self._nursery = self._make_nursery()
        self.clerk.start()
        self._fill()
        self._thread.start()

    def resize(self, target: int) -> None:
        """Have that many from now on."""
        with self._lock:
            self._target = target
        self._wake()

    def members(self) -> list[Member]:
        """The children that are there."""
        with self._lock:
            return list(self._members.values())

    @property
    def sound(self) -> bool:
        """Whether children come up."""
        return self._stillborn < max(self._target, 1) or any(
            member.slot.phase is not Phase.STARTING for member in self.members()
        )

    @property
    def running(self) -> int:
        """Tasks that run now."""
        return sum(member.slot.running for member in self.members())

    @property
    def load(self) -> int:
        """Tasks that run, and messages that are claimed."""
        return sum(member.slot.running + member.slot.waiting for member in self.members())

    @property
    def done(self) -> int:
        """Tasks that the children have ended since the pool started."""
        with self._lock:
            return self.total + sum(member.slot.done for member in self._members.values())

    def ask_all(self, name: str, argument: Any = None) -> list[tuple[Member, Future[Any]]]:
        """Ask every child."""
        with self._lock:
            asked = [(member, member.ask(name, argument)) for member in self._members.values()]
        self._wake()
        return asked

    def wind_down(self) -> None:
        """Let every child end what it runs, give back the rest, and leave; start no more."""
        with self._lock:
            if self._winding_down:
                return
            self._winding_down = True
            for member in self._members.values():
                self._dismiss(member)
        self._wake()

    def end_all(self) -> None:
        """End every child now; what they ran goes back to the broker."""
        with self._lock:
            for member in self._members.values():
                member.end(Why("shutdown"))
        self._wake()

    def end_task(self, task_id: str, signum: int) -> bool:
        """End the child that runs a task, and no other; a coroutine is cancelled. False if no main thread runs it.

        A signal that ends no process, such as SIGUSR1, is passed on to the task alone.
        """
        found = sum(member.end_task(task_id, signum) for member in self.members()) > 0  # each is asked
        if not found:  # a coroutine, then, which its child can end by itself
            self.ask_all("cancel", (task_id, signum))
        self._wake()
        return found

    def end_pid(self, pid: int, signum: int | None) -> None:
        """End the child with that process id."""
        for member in self.members():
            if member.pid == pid:
                member.end(Why("shutdown"), signum or signal.SIGTERM, GRACE)
        self._wake()

    def renew(self) -> None:
        """Replace every child, once it has ended what it runs, by one forked from this process as it is now."""
        nursery = self._make_nursery()
        with self._lock:
            if self._nursery is not None:
                self._former.append(self._nursery)
            self._nursery = nursery
            for member in self._members.values():
                self._dismiss(member)
        self._wake()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until all children are gone and what they left is settled; may be called from a signal's handler."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ended:  # no lock: the handler may have interrupted whoever holds it
            if deadline is not None and time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not (self._winding_down and not self._members):
                try:
                    self._turn()
                except Exception:
                    logger.exception("the children's supervisor stumbled")
                    time.sleep(_LOOK_EVERY)
        finally:
            self.clerk.stop()
            for nursery in (*self._former, self._nursery):
                if nursery is not None:
                    nursery.close()
            self._ended = True

    def _turn(self) -> None:
        with self._lock:
            pipes = {member.pipe: member for member in self._members.values() if not member.pipe.closed}
            watched: list[Any] = [self._wake_read, *pipes]
            nurseries = [nursery for nursery in (*self._former, self._nursery) if nursery is not None]
        watched += nurseries
        for ready in wait(watched, _LOOK_EVERY):
            if isinstance(ready, Nursery):
                self._hear(ready)
            elif ready == self._wake_read:
                os.read(self._wake_read, 4096)
            else:
                with self._lock:
                    pipes[ready].receive()  # type: ignore[index]  # what is neither is a pipe
        with self._lock:
            for member in list(self._members.values()):
                member.send()
                self._look_at(member)
            self._fill()

    def _hear(self, nursery: Nursery) -> None:
        try:
            news = nursery.news()
        except (EOFError, OSError):
            logger.critical("the process that forks children is gone, and they are with it; starting another")
            with self._lock:
                for member in list(self._members.values()):
                    if member.nursery is nursery:
                        self._bury(member, -signal.SIGKILL)
                if nursery is self._nursery:
                    self._nursery = self._make_nursery()
                else:
                    self._former.remove(nursery)
            return
        with self._lock:
            for each in news:
                known = self._members.get(each.slot)
                if known is None:
                    continue
                if isinstance(each, Birth):
                    known.pid = each.pid
                    known.kill_if_due()
                else:
                    self._bury(known, each.status)

    def _look_at(self, member: Member) -> None:
        slot = member.slot
        member.kill_if_due()
        if slot.phase is Phase.LEAVING:
            member.leaving = True
            member.give_way()
        member.release_if_due()
        if member.why is not None:
            return
        if slot.phase is Phase.STARTING:
            if slot.age > self._start_timeout:
                logger.error("child %s was not ready in %.0f s", member.pid, self._start_timeout)
                member.end(Why("silent"))
            return
        if not slot.busy:
            return
        self._hold_to_limits(member)
        self._free_what_waits(member)

    def _hold_to_limits(self, member: Member) -> None:
        slot, now = member.slot, time.monotonic()
        starts, soft_at, hard_at = slot.starts, slot.soft_at, slot.hard_at
        if soft_at and now >= soft_at:
            member.signal(signal.SIGUSR1)
            if member.warned != starts:
                member.warned = starts
                task_id, name = slot.task
                logger.warning("Soft time limit (%ss) exceeded for %s[%s]", slot.soft, name, task_id)
        if hard_at and now >= hard_at:
            self._strike(member, starts)

    def _free_what_waits(self, member: Member) -> None:
        """Let others have what a child claimed behind a task that turns out to be long."""
        slot, now = member.slot, time.monotonic()
        starts = slot.starts
        if slot.waiting and member.recalled != starts and now - slot.started > _STUCK:
            member.recalled = starts
            member.ask("recall")
            member.send()

    def _strike(self, member: Member, starts: int) -> None:
        """The hard limit: end the child, if it still runs that very task."""
        slot = member.slot
        slot.hold = True
        if slot.starts != starts or not slot.busy or not slot.hard_at:
            slot.hold = False
            return
        task_id, _ = slot.task
        patience = 0.0
        if not slot.owner and self.clerk.acknowledges_timeouts(slot.message):
            # Such a broker gives back what is not acknowledged over the connection that is about to end.
            member.ask("settle", task_id)
            member.send()
            patience = GRACE
        member.end(Why("time limit", task_id, limit=slot.hard), patience=patience)

    def _bury(self, member: Member, status: int) -> None:
        slot = member.slot
        end = member.left_behind(status)
        del self._members[slot.index]
        member.give_way()
        for each in self._members.values():
            if each.heir is member:
                each.heir = None
        member.last_words()
        self.total += slot.done
        self.totals.update(member.totals)
        for former in list(self._former):
            if not any(each.nursery is former for each in self._members.values()):
                self._former.remove(former)
                former.close()
        if not slot.starts and status and end.why is None and slot.age < self._start_timeout:
            self._stillborn += 1
            pause = min(_FIRST_PAUSE * 2 ** min(self._stillborn, 10), _LONGEST_PAUSE)
            self._not_before = time.monotonic() + pause
            logger.error("child %s ended with %s before its first task; the next in %.1f s", end.pid, status, pause)
        elif slot.starts:
            self._stillborn = 0
        if status and end.why is None and end.begun:
            logger.error("child %s ended with %s while it ran %s[%s]", end.pid, status, *reversed(end.task))
        slot.free()
        if end.owner or end.begun:
            self.clerk.settle_affairs(end)

    def _fill(self) -> None:
        """Start as many as there should be, or dismiss as many as are too many."""
        staying = [each for each in self._members.values() if not (each.leaving or each.why or each.heir)]
        for member in self._too_many(staying):
            self._dismiss(member)
        self.clerk.owners = [member.slot.owner for member in self._members.values() if member.slot.owner]
        if self._winding_down:
            return
        for _ in range(self._target - len(staying)):
            if self._spawn() is None:
                return
        if self._max_tasks:
            for member in staying:
                if not member.standby and self._leaves_soon(member):
                    member.heir = self._spawn(standby=True)

    def _spawn(self, *, standby: bool = False) -> Member | None:
        slot = self.table.vacant()
        if slot is None or self._nursery is None or time.monotonic() < self._not_before:
            return None
        slot.reserve()
        slot.hold = standby
        member = Member(slot, self._nursery.order(slot.index), self._nursery)
        member.standby = standby
        self._members[slot.index] = member
        for name, argument in self.configuration():
            member.ask(name, argument)
        member.send()
        return member

    def _leaves_soon(self, member: Member) -> bool:
        """Whether a child is about to have done its share: the next one needs a moment to get ready."""
        slot, most = member.slot, self._max_tasks or 0
        return slot.starts * 2 > most and slot.starts + slot.starts / max(slot.age, 0.05) * _TO_GET_READY > most

    def _too_many(self, staying: list[Member]) -> Iterable[Member]:
        idle_first = sorted(staying, key=lambda member: (member.slot.busy, -member.slot.index))
        return idle_first[: max(len(staying) - self._target, 0)]

    def _dismiss(self, member: Member) -> None:
        if not member.leaving:
            member.leaving = True
            member.ask("stop")
            member.send()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b".")
        except BlockingIOError:
            return
