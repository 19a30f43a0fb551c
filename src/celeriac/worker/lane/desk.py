"""Celery's consumer as a child needs it: strategies, token buckets and error handling, without a connection to keep."""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from celery.app.trace import build_tracer
from celery.exceptions import TaskRevokedError
from celery.utils.objects import Bunch
from celery.worker import state
from celery.worker.consumer.consumer import Consumer
from kombu.asynchronous.timer import Timer
from kombu.common import ignore_errors

from celeriac.worker.lane.buckets import SharedBucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from celeriac.worker.lane.buckets import Buckets

__all__ = ["Desk"]

logger = logging.getLogger("celery.worker.consumer")


class _Unlimited:
    """Stands for the prefetch count, which a child counts by itself."""

    value = 0

    def increment_eventually(self, n: int = 1) -> int:
        return n

    def decrement_eventually(self, n: int = 1) -> int:
        return n


class Desk(Consumer):
    """What Celery's strategies and requests take for the worker's consumer.

    Messages that need more than to be run go through Celery's own code, which is written against its consumer. Its
    blueprint, which connects and consumes, is the parent's business and left out.

    Args:
        app: the application.
        hostname: the worker's name.
        pool: runs requests in place.
        buckets: the rate limits that all children keep together.
        settle: calls an acknowledgement or a rejection.
        disable_rate_limits: as the worker was told.
    """

    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        app: Celery,
        hostname: str,
        pool: Any,
        buckets: Buckets,
        settle: Callable[..., None],
        *,
        disable_rate_limits: bool,
    ) -> None:
        self.app = app
        self.hostname = hostname
        self.pool = pool
        self.pid = os.getpid()
        self.hub = None
        self.controller = Bunch(state=state, semaphore=None)
        self.conninfo = app.connection_for_read()
        self.connection_errors = self.conninfo.connection_errors
        self.channel_errors = self.conninfo.channel_errors
        self.timer: Any = Timer()
        self.qos = _Unlimited()
        self.strategies: dict[str, Any] = {}
        self.event_dispatcher: Any = None
        self.on_task_message: set[Any] = set()
        self.on_task_request = self._run_request
        self.disable_rate_limits = disable_rate_limits
        self.restart_count = 0
        self._limit_order = 0
        self._maximum_prefetch_restored = True
        self._buckets = buckets
        self._settle = settle
        self.task_buckets: Any = defaultdict(lambda: None)
        self.reset_rate_limits()

    def bucket_for_task(self, type: Any) -> Any:  # noqa: A002  Celery's name
        """The part of a task's rate limit that this child keeps: requests wait here, tokens are common to all."""
        bucket = super().bucket_for_task(type)
        return bucket and SharedBucket(bucket.fill_rate, self._buckets, type.name)

    def call_soon_ack(self, p: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge or reject."""
        self._settle(p, *args, **kwargs)
        return p

    def update_strategies(self) -> None:
        """Make each task's strategy anew: it depends on limits, events and log levels."""
        for name, task in self.app.tasks.items():
            self.strategies[name] = task.start_strategy(self.app, self)

    def build_tracers(self) -> None:
        """Make each task's tracer, which keeps the process id and who listens to signals."""
        for name, task in self.app.tasks.items():
            task.__trace__ = build_tracer(name, task, self.app.loader, self.hostname, app=self.app)

    def send_events(self, *, enabled: bool) -> None:
        """Send events of tasks, or none; over a connection of this child's own."""
        dispatcher, self.event_dispatcher = self.event_dispatcher, None
        if dispatcher is not None:
            ignore_errors(dispatcher.connection, dispatcher.close)
            ignore_errors(dispatcher.connection, dispatcher.connection.close)
        if enabled:
            connection = self.app.connection_for_write()
            self.event_dispatcher = self.app.events.Dispatcher(connection, hostname=self.hostname, groups=["task"])

    @property
    def waiting(self) -> int:
        """Requests that wait for their rate limit or their time."""
        limited = sum(len(bucket.contents) for bucket in self.task_buckets.values() if bucket)
        return limited + len(cast("Any", state).scheduled_requests)

    def tick(self) -> float | None:
        """Run what is due; returns seconds until the next is, or ``None``."""
        if not len(self.timer):
            return None
        for delay, entry in iter(self.timer):
            if entry is None:
                return None if delay is None else float(delay)
            self.timer.apply_entry(entry)
        return None

    def _run_request(self, request: Any) -> None:
        with suppress(TaskRevokedError):
            request.execute_using_pool(self.pool)
