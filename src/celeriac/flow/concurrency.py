"""How many of a task run at once: a slot for each that runs, and a line for those that have none."""

from __future__ import annotations

import logging
import os
import time
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Final
from weakref import finalize

from redis.exceptions import RedisError
from typing_extensions import override

from celeriac.flow.frame import Gate
from celeriac.flow.slots import Slots, Waiter
from celeriac.flow.waking import wake
from celeriac.transport.publishing.ids import fresh_id
from celeriac.transport.redis.keys import WAITS

if TYPE_CHECKING:
    from celeriac.flow.frame import Attempt, Ending
    from celeriac.flow.keys import CallKey
    from celeriac.flow.policies import Concurrency
    from celeriac.flow.shelf import Shelf
    from celeriac.flow.tenure import Tenure

__all__ = ["ConcurrencyGate"]

logger = logging.getLogger(__name__)

_SILENT: Final = 5.0
"""Seconds until a task asks again whose server did not answer. To run without having asked would be one too many."""


class _Held:
    """One slot, from before it is asked for until it is let go: exactly once, whatever comes in between."""

    def __init__(self, gate: ConcurrencyGate, name: str, attempt: Attempt) -> None:
        self.name = name
        self.task_id = attempt.task_id
        self.token = attempt.token
        # An error may be raised into this thread at any step, between the server's answer and ours among them. What is
        # left then, by nobody, is let go when the attempt itself is forgotten.
        self.let_go = finalize(attempt, gate.abandon, self.name, self.task_id, self.token)
        self.let_go.atexit = False


class ConcurrencyGate(Gate):
    """Lets no more than so many run at once, for each value of a key.

    Who finds no slot goes back to its queue, in state ``RETRY`` and without using up a retry, and stands in line. The
    one who leaves wakes the first of it, where the broker is Redis; on RabbitMQ each comes back when its turn may have
    come, by how long others took.

    Args:
        shelf: where slots are kept.
        tenure: in whose name.
        task: its name.
        limit: how many.
        key: which calls are counted together.
    """

    holds = True

    def __init__(self, shelf: Shelf, tenure: Tenure, task: str, limit: Concurrency, key: CallKey) -> None:
        self.limit = limit
        self._shelf = shelf
        self._tenure = tenure
        self._task = task
        self._key = key
        self._held: dict[str, _Held] = {}
        self._owed: SimpleQueue[tuple[str, str, str]] = SimpleQueue()
        self._owing = 0

    @override
    def before_run(self, attempt: Attempt) -> None:
        digest = self._key.of(attempt.args, attempt.kwargs)
        name = f"{self._task}:{digest}" if digest else self._task
        former = Waiter.read(attempt.headers.get(WAITS))
        visit = f"{attempt.task_id}:{fresh_id()}"
        held = self._held[attempt.token] = _Held(self, name, attempt)
        try:
            answer = self._slots.acquire(name, held.task_id, held.token, self._tenure.hold(), (former, visit))
        except RedisError as error:
            self._forget(attempt)
            self._owe(name, held.task_id, held.token)  # it may have arrived
            logger.warning("how many of %s run was not asked: %s", self._task, error)
            attempt.put_back(_SILENT, f"{self.limit}, and Redis does not tell whether it may run")
        wake(self._shelf, answer.woken)
        if answer.held:
            attempt.forget(WAITS)  # a retry is a new arrival
            return
        self._forget(attempt)
        why = f"{self.limit}, and {answer.before} wait before it"
        attempt.put_back(answer.again, why, {WAITS: str(answer.waiter)})

    @override
    def after_run(self, attempt: Attempt, ending: Ending) -> None:
        del ending
        held = self._held.get(attempt.token)
        if held is None:
            return
        try:
            self._release(held.name, held.task_id, held.token)
        except RedisError as error:
            logger.warning("a slot of %s is let go later: %s", self._task, error)
            self._owe(held.name, held.task_id, held.token)
        self._forget(attempt)

    def abandon(self, name: str, task_id: str, token: str) -> None:
        """An attempt is gone that did not let its slot go."""
        self._held.pop(token, None)
        self._owe(name, task_id, token)

    def _owe(self, name: str, task_id: str, token: str) -> None:
        """Let a slot go as soon as that can be done, in a thread. From anywhere, a finalizer included."""
        self._owed.put((name, task_id, token))
        if self._owing != os.getpid():
            self._owing = os.getpid()
            Thread(target=self._settle, name="celeriac-slots", daemon=True).start()

    @property
    def _slots(self) -> Slots:
        return Slots(self._shelf.server, self.limit.limit, wakes=self._shelf.broker is not None)

    def _forget(self, attempt: Attempt) -> None:
        held = self._held.pop(attempt.token, None)
        if held is not None:
            held.let_go.detach()

    def _release(self, name: str, task_id: str, token: str) -> None:
        wake(self._shelf, self._slots.release(name, task_id, token))

    def _settle(self) -> None:
        while True:
            owed = self._owed.get()
            while True:
                try:
                    self._release(*owed)
                    break
                except RedisError:
                    time.sleep(1.0)
