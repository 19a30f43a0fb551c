"""A child's connection to the broker: made, kept, and made again."""

from __future__ import annotations

import logging
import random
import select
from typing import TYPE_CHECKING, Any, Final

from kombu.common import ignore_errors
from kombu.exceptions import OperationalError

from celeriac.tasks.leaving import leave
from celeriac.worker.lane.claiming import Lane
from celeriac.worker.lane.drain import Drain

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.worker.lane.duty import Duty
    from celeriac.worker.lane.options import ChildOptions
    from celeriac.worker.lane.running import Runner

__all__ = ["Consuming"]

logger = logging.getLogger("celery.worker.consumer")

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0


class Consuming:
    """Consumes until the child's duty is done, over as many connections as it takes.

    Args:
        app: the application; the queues it has selected are consumed.
        runner: runs messages.
        duty: says when to end.
        options: what the pool was told.
    """

    def __init__(self, app: Any, runner: Runner, duty: Duty, options: ChildOptions) -> None:
        self.app = app
        self.runner = runner
        self.duty = duty
        self.options = options
        self.loop: Lane | Drain | None = None
        self.on_leaving: Callable[[], None] = _unheard
        """Called when no more tasks will begin."""
        self._task_consumer: Any = None
        self._connection: Any = None

    def run(self) -> None:
        """Consume, and leave nothing claimed behind."""
        desk = self.runner.desk
        errors: Any = (*desk.connection_errors, *desk.channel_errors, OperationalError)
        pause = _FIRST_PAUSE
        while not self.duty.done:
            try:
                loop = self.loop or self._connect()
                loop.run()
            except errors as error:
                logger.warning("the broker is out of reach, next try in %.1f s: %s", pause, error)
                if not isinstance(self.loop, Lane):  # a lane connects by itself, and what it holds stays held
                    self._disconnect()
                select.select([self.duty], [], [], pause * random.uniform(0.8, 1.2))  # noqa: S311  spreads load
                self.duty.drain()
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE
        if self.loop is not None:
            ignore_errors(self._connection, self.loop.give_back)
        self.runner.crew.close()
        self.runner.slot.leaving()
        self.on_leaving()
        leave()  # coroutines that can go on elsewhere need not be waited for
        self.runner.crew.join()
        if self.loop is not None:
            ignore_errors(self._connection, self.loop.finish)
        self._disconnect()

    def give_back(self) -> None:
        """Let others have what is claimed and not begun, from any thread."""
        if self.loop is not None:
            self.loop.give_back()
        if self.duty.stopping:  # else coroutines go on beside a task that is long
            self.runner.crew.close()

    def add_queue(self, queue: Any) -> None:
        """Consume from one more queue; in the main thread."""
        self.app.amqp.queues.select_add(queue)  # for the next connection
        consumer = self._task_consumer
        if consumer is not None:
            if not consumer.consuming_from(queue.name):
                consumer.add_queue(queue)
            consumer.consume()  # even so: the connection may have been lost after the queue was added

    def cancel_queue(self, name: str) -> None:
        """Consume from a queue no more; in the main thread."""
        self.app.amqp.queues.deselect(name)
        if self._task_consumer is not None:
            self._task_consumer.cancel_by_queue(name)

    def _connect(self) -> Lane | Drain:
        # A broker that pushes is found dead by its silence; Redis has no use for it.
        self._connection = connection = self.app.connection_for_read(heartbeat=self.app.conf.broker_heartbeat)
        connection.connect()
        channel = connection.default_channel
        self._task_consumer = consumer = self.app.amqp.TaskConsumer(
            channel, on_decode_error=self.runner.desk.on_decode_error
        )
        if hasattr(channel, "claim"):
            consumer.consume()
            self.loop = Lane(channel, self.runner, self.duty, self.options.prefetch)
        else:
            self.loop = Drain(connection, consumer, self.runner, self.duty, self.options.prefetch)
        self.runner.refresh()
        return self.loop

    def _disconnect(self) -> None:
        loop, self.loop = self.loop, None
        if loop is not None:
            ignore_errors(self._connection, loop.give_back)
            self.runner.crew.give_back()
        consumer, self._task_consumer = self._task_consumer, None
        if consumer is not None:
            ignore_errors(self._connection, consumer.cancel)
        connection, self._connection = self._connection, None
        if connection is not None:
            ignore_errors(connection, connection.close)


def _unheard() -> None:
    """Nobody listens."""
