"""A rate that holds for all workers together: slots in time, given out by one Redis script on the server's clock."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery.exceptions import Retry as CeleryRetry

from celeriac.exceptions import InvalidTask

if TYPE_CHECKING:
    from celery import Celery

    from celeriac.tasks.policies import RateLimit

__all__ = ["SLOT_HEADER", "ClusterRate"]

logger = logging.getLogger(__name__)

SLOT_HEADER = "celeriac-rate-slot"
"""Carried by a message that has its slot: the number of retries that the slot is for."""

# The generic cell rate algorithm with one cell of burst, as ATM networks police their traffic (ITU-T I.371): the next
# free slot is kept, each caller takes it and moves it on by one interval, and is told how long its slot is away.
_TAKE_SLOT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local slot = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local following = slot + tonumber(ARGV[1])
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000))
return string.format('%.0f', slot - now)
"""
_MICROSECONDS = 1_000_000


class ClusterRate:
    """Lets a task start at its rate and no faster, whichever worker has it.

    A task that comes too soon takes the next free slot, goes back to its queue until then in state ``RETRY``, and uses
    up no retry. If Redis does not answer, the task runs: late is worse than fast.

    Raises:
        InvalidTask: the app's result backend is not Redis, and nothing else is shared by all workers.
    """

    def __init__(self, app: Celery, task: str, limit: RateLimit) -> None:
        backend = str(app.conf.result_backend or "")
        shared = backend.startswith(("redis://", "rediss://", "sentinel://"))
        if not shared and not app.conf.task_always_eager:
            raise InvalidTask(task=task, problem=f"its rate limit ({limit}) is kept in Redis, as results are not")
        self.limit = limit
        self.key = f"celeriac:rate:{task}"

    def wait_for_slot(self, task: Any) -> None:
        """Return if the task may run now.

        Raises:
            celery.exceptions.Retry: the task was sent again, to start when its slot comes.
        """
        request = task.request
        headers: dict[str, Any] = dict(request.headers or {})
        if request.is_eager or headers.get(SLOT_HEADER) == request.retries:
            return
        seconds = self._seconds_to_slot(task)
        if seconds <= 0:
            return
        again = task.signature_from_request(
            request, countdown=seconds, retries=request.retries, headers={**headers, SLOT_HEADER: request.retries}
        )
        again.apply_async()
        when: Any = seconds
        message = f"rate limit {self.limit}"
        raise CeleryRetry(message, when=when, sig=again)

    def _seconds_to_slot(self, task: Any) -> float:
        try:
            waited = task.backend.client.eval(_TAKE_SLOT, 1, self.key, int(self.limit.interval * _MICROSECONDS))
        except task.backend.connection_errors as error:
            logger.warning("rate limit %s of %s was not asked: %s", self.limit, task.name, error)
            return 0.0
        return int(waited) / _MICROSECONDS
