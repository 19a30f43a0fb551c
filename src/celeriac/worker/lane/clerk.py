"""What has to be told to the broker and the result backend of children that cannot do it themselves any more."""

from __future__ import annotations

import logging
import queue
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from celery.exceptions import WorkerLostError
from celery.worker.request import Request
from redis.exceptions import RedisError

from celeriac.transport.envelope import read
from celeriac.transport.redis.broker import LEASE
from celeriac.worker.leasing import Leasing
from celeriac.worker.records import einfo_of, from_raw, restored

if TYPE_CHECKING:
    from celeriac.transport.redis.broker import Parked, RedisBroker
    from celeriac.worker.lane.members import End

__all__ = ["Clerk"]

logger = logging.getLogger(__name__)

_TRIES_EVERY: Final = 1.0
_RENEWALS: Final = 6


class Clerk:
    """A thread that talks to the broker in the children's name, so that nobody else waits for it.

    Args:
        app: the application.
        hostname: the worker's name.
    """

    def __init__(self, app: Any, hostname: str) -> None:
        self.app = app
        self.hostname = hostname
        self.owners: list[str] = []
        """Children whose leases are renewed, should they be too busy to do it."""
        self.eventer: Any = None
        self.prefix = ""
        """kombu's ``global_keyprefix``."""
        self._affairs: queue.Queue[End | None] = queue.Queue()
        self._broker: RedisBroker | None = None
        self._second: RedisBroker | None = None
        self._thread = threading.Thread(target=self._run, name="celeriac-clerk", daemon=True)

    def start(self) -> None:
        """Begin."""
        leasing = Leasing.of(self.app.conf)
        if leasing is not None:
            self.prefix = leasing.prefix
            self._broker, self._second = leasing.broker(), leasing.broker()
        self._thread.start()

    def stop(self) -> None:
        """Settle what is left, and end."""
        self._affairs.put(None)
        self._thread.join(timeout=10)

    def settle_affairs(self, end: End) -> None:
        """See to the messages of a child that has ended. From any thread."""
        self._affairs.put(end)

    def parked(self, limit: int) -> list[Parked]:
        """Messages that wait on the broker for their time, the next one first; in the main thread alone."""
        return [] if self._second is None else self._second.delayed(limit)

    def acknowledges_timeouts(self, record: bytes) -> bool:
        """Whether the task of a message is done with once its time limit has struck."""
        task = self._task_of(restored(record))
        return task is not None and task.acks_late and task.acks_on_timeout

    def _run(self) -> None:
        every = (self._broker.lease if self._broker else LEASE) / _RENEWALS
        renew_at = time.monotonic() + every
        unsettled: list[End] = []
        while True:
            pause = min(max(renew_at - time.monotonic(), 0.0), _TRIES_EVERY if unsettled else every)
            try:
                end = self._affairs.get(timeout=pause)
                if end is None:
                    break
                unsettled.append(end)
            except queue.Empty:
                pass
            unsettled = [end for end in unsettled if not self._settled(end)]
            if self._broker is not None and time.monotonic() >= renew_at:
                renew_at = time.monotonic() + every
                self._renew(self._broker)
        for end in unsettled:
            self._settled(end)
        if self._broker is not None:
            self._broker.link.close()

    def _renew(self, broker: RedisBroker) -> None:
        owners = list(self.owners)
        if not owners:
            return
        try:
            broker.renew(owners)
        except RedisError as error:
            logger.debug("leases of children could not be renewed: %s", error)

    def _settled(self, end: End) -> bool:
        """Whether it is done, or cannot be done."""
        try:
            self._settle(end)
        except RedisError as error:
            logger.warning("what child %s held is not settled yet: %s", end.pid, error)
            return False
        except Exception:
            logger.exception("what child %s held could not be settled: its lease will end", end.pid)
        return True

    def _settle(self, end: End) -> None:
        counted: list[str] = []
        settled: list[str] = []
        for at, token in enumerate(end.begun):
            message = self._message(end, token, first=at == 0)
            task = self._task_of(message)
            if task is not None:
                self._conclude(end, self._request(message, task, token, counted, settled))
        if self._broker is not None and end.owner:
            returned = self._broker.abandon(end.owner, counted=counted, settled=settled)
            if returned:
                logger.warning("%d messages of child %s went back to their queues", returned, end.pid)

    def _message(self, end: End, token: str, *, first: bool) -> Any:
        if self._broker is not None and end.owner and (raw := self._broker.raw(end.owner, token)) is not None:
            return from_raw(read(raw), token)
        return restored(end.record) if first else None

    def _task_of(self, message: Any) -> Any:
        if message is None:
            return None
        name = message.headers.get("task") or message.payload.get("task")
        return self.app.tasks.get(name)

    def _request(self, message: Any, task: Any, token: str, counted: list[str], settled: list[str]) -> Any:
        def acknowledge(*_: Any) -> None:
            settled.append(token)

        def reject(_logger: Any, _errors: Any, requeue: bool) -> None:  # noqa: FBT001  Celery's signature
            (counted if requeue else settled).append(token)

        request = Request(
            message,
            on_ack=acknowledge,
            on_reject=reject,
            app=self.app,
            hostname=self.hostname,
            eventer=self.eventer,
            task=task,
            body=message.payload,
            headers=message.headers,
            decoded=True,
            utc=True,
        )
        if not task.acks_late:
            request.acknowledged = True
        return request

    def _conclude(self, end: End, request: Any) -> None:
        """Say of a task that was begun and not ended what Celery says of it."""
        why = end.why
        mine = why is not None and why.task_id in {request.id, ""}
        if why is None:
            request.on_failure(_lost(end))
        elif not mine or why.cause == "silent":
            request.reject(requeue=True)
        elif why.cause == "time limit":
            request.on_timeout(False, why.limit)  # noqa: FBT003  Celery's signature: not the soft one
        elif why.cause == "revoked":
            request._announce_revoked("terminated", True, why.signum, False)  # noqa: FBT003, SLF001  Celery's own way
        elif not request.task.acks_late:
            request._announce_cancelled(True)  # noqa: FBT003, SLF001  shown as to be retried, as Celery does


def _lost(end: End) -> Any:
    said = f"signal {-end.status} ({signal.Signals(-end.status).name})" if end.status < 0 else f"exitcode {end.status}"
    return einfo_of(WorkerLostError(f"Worker exited prematurely: {said}."))
