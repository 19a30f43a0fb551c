"""What the worker's consumer does differently when its pool's children consume."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.worker.consumer.control import Control
from celery.worker.consumer.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LaneTasks"]

logger = logging.getLogger("celery.worker.consumer")


class LaneTasks(bootsteps.StartStopStep):  # type: ignore[misc]
    """Puts the children in the place of the consumer of tasks, right after Celery has made one."""

    requires = (Tasks, Control)
    label = "Lanes"

    def include_if(self, c: Any) -> bool:
        """Only with our pool."""
        return getattr(c.pool, "consumes", False)

    def start(self, c: Any) -> None:
        """Take no task messages in this process."""
        c.task_consumer = Handed(c.task_consumer, c.pool)

    def stop(self, c: Any) -> None:
        """Nothing is held here."""


class Handed:
    """Stands for the consumer of tasks; what it is told goes to the children.

    The real one has declared the queues, and consumes nothing.
    """

    def __init__(self, consumer: Any, pool: Any) -> None:
        self._consumer = consumer
        self._pool = pool
        self.on_message: Callable[[Any], None] | None = None
        self.channel = consumer.channel
        self.queues = consumer.queues

    def consume(self, no_ack: bool | None = None) -> None:  # noqa: FBT001  kombu's signature
        """Leave it to the children."""

    def qos(self, **_: Any) -> None:
        """Each child counts for itself."""

    def consuming_from(self, queue: Any) -> bool:
        """Whether the children consume from a queue."""
        return bool(self._consumer.consuming_from(queue))

    def add_queue(self, queue: Any) -> Any:
        """Have the children consume from one more queue."""
        added = self._consumer.add_queue(queue)
        self._pool.supervisor.ask_all("add_queue", queue)
        return added

    def cancel_by_queue(self, name: str) -> None:
        """Have the children consume from a queue no more."""
        self._consumer.queues.pop(name, None)
        self._pool.supervisor.ask_all("cancel_queue", name)

    def cancel(self) -> None:
        """Have the children begin nothing more."""
        self._pool.on_close()

    def close(self) -> None:
        """Close the channel's consumer, which consumed nothing."""
        self._consumer.close()
