"""What the worker's consumer does differently when its pool's children consume."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker.consumer.control import Control
from celery.worker.consumer.tasks import Tasks

from celeriac.transport.redis.channel import LeasedChannel
from celeriac.worker.lane.mirror import Mirror
from celeriac.worker.lane.remote import Remote

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LaneTasks"]

logger = logging.getLogger("celery.worker.consumer")

_TICK: Final = 1.0
"""Seconds between two looks at the load."""
_RUN: Final[int] = bootsteps.RUN  # type: ignore[attr-defined]  # not in Celery's stubs


class LaneTasks(bootsteps.StartStopStep):
    """Puts the children in the place of the consumer of tasks, right after Celery has made one."""

    requires = (Tasks, Control)
    label = "Lanes"

    def __init__(self, c: Any, **kwargs: Any) -> None:
        self._remote: Remote | None = None
        self._mirror: Mirror
        super().__init__(c, **kwargs)

    def include_if(self, parent: Any) -> bool:
        """Only with our pool."""
        return getattr(parent.pool, "consumes", False)

    def start(self, parent: Any) -> None:
        """Take no task messages in this process, and let others see and reach the children."""
        c = parent
        supervisor = c.pool.supervisor
        c.task_consumer = Handed(c.task_consumer, c.pool, lambda: c.controller.blueprint.state != _RUN)
        c.cancel_active_requests = supervisor.end_all
        c.controller.wait_for_soft_shutdown = lambda: _wait_softly(c.app.conf, supervisor)
        supervisor.clerk.eventer = c.event_dispatcher
        self._mirror = Mirror(c.app, supervisor)
        if self._remote is None:
            self._remote = Remote(c, supervisor, self._mirror)
            supervisor.configuration = self._remote.configuration
        self._remote.queues = c.task_consumer.by_name
        c.blueprint.steps[Control.name].box.node.handlers = self._remote.handlers()
        self._remote.tell()

    def register_with_event_loop(self, c: Any, hub: Any) -> None:
        """Look after load, and after what plain workers left, once a second."""
        hub.call_repeatedly(_TICK, self._tick, c)

    def stop(self, parent: Any) -> None:
        """Nothing is held here."""

    def _tick(self, c: Any) -> None:
        self._mirror.glance()
        channel = c.task_consumer.channel
        if isinstance(channel, LeasedChannel):
            channel.qos.restore_visible()
        scaler = c.controller.autoscaler
        if scaler is not None:
            scale(scaler, c.pool.supervisor.load + _backlog(c))


def scale(scaler: Any, load: int) -> None:
    """Let Celery's autoscaler follow the load, in tasks that run or could."""
    processes = scaler.processes
    if load:
        scaler.on_task_received(None)
    if (wanted := min(load, scaler.max_concurrency)) > processes:
        scaler.scale_up(wanted - processes)
    elif (wanted := max(load, scaler.min_concurrency)) < processes:
        scaler.scale_down(processes - wanted)


def _backlog(c: Any) -> int:
    channel, backlog = c.connection.default_channel, 0
    for queue in c.task_consumer.queues:
        with suppress(*c.connection.channel_errors):  # kombu knows no queue on Redis that is empty
            backlog += channel.queue_declare(queue.name, passive=True).message_count
    return backlog


def _wait_softly(conf: Any, supervisor: Any) -> None:
    """Celery's soft shutdown: what runs may end within the timeout; nothing new begins."""
    timeout = conf.worker_soft_shutdown_timeout
    supervisor.wind_down()
    if timeout > 0 and (supervisor.running or conf.worker_enable_soft_shutdown_on_idle):
        logger.warning("Initiating Soft Shutdown, terminating in %s seconds", timeout)
        supervisor.join(timeout)


class Handed:
    """Stands for the consumer of tasks; what it is told goes to the children.

    The real one has declared the queues, and consumes nothing.

    Args:
        consumer: the real one.
        pool: the children's.
        stopping: whether the whole worker is about to end.
    """

    def __init__(self, consumer: Any, pool: Any, stopping: Callable[[], bool]) -> None:
        self._consumer = consumer
        self._pool = pool
        self._stopping = stopping
        self.on_message: Callable[[Any], None] | None = None
        self.channel = consumer.channel
        self.by_name = {queue.name: queue for queue in consumer.queues}

    @property
    def queues(self) -> list[Any]:
        """What the children consume from."""
        return list(self.by_name.values())

    def consume(self, no_ack: bool | None = None) -> None:  # noqa: FBT001  kombu's signature
        """Leave it to the children."""

    def qos(self, **_: Any) -> None:
        """Each child counts for itself."""

    def consuming_from(self, queue: Any) -> bool:
        """Whether the children consume from a queue."""
        return getattr(queue, "name", queue) in self.by_name

    def add_queue(self, queue: Any) -> Any:
        """Have the children consume from one more queue."""
        added = self._consumer.add_queue(queue)  # declares it
        self.by_name[queue.name] = queue
        self._pool.supervisor.ask_all("add_queue", queue)
        return added

    def cancel_by_queue(self, name: str) -> None:
        """Have the children consume from a queue no more."""
        self.by_name.pop(name, None)
        self._pool.supervisor.ask_all("cancel_queue", name)

    def cancel(self) -> None:
        """Have the children begin nothing more, unless it is only this process that lost its connection."""
        if self._stopping():
            self._pool.on_close()

    def close(self) -> None:
        """Close the channel's consumer, which consumed nothing."""
        self._consumer.close()
