"""What waits on the broker for its time, as ``inspect scheduled`` shows it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from celery import bootsteps
from celery.worker.consumer.control import Control
from celery.worker.request import Request
from redis.exceptions import RedisError

from celeriac.exceptions import MalformedMessage
from celeriac.transport.envelope import read
from celeriac.transport.redis.channel import LeasedChannel
from celeriac.transport.redis.keys import queue_of
from celeriac.worker.records import from_raw

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from celeriac.transport.redis.broker import Parked

__all__ = ["SHOWN", "ShowParked", "shown"]

SHOWN: Final = 1000
"""Parked messages that are shown at most."""


def shown(
    app: Any, hostname: str, parked: Iterable[Parked], *, prefix: str, queues: Container[str]
) -> list[dict[str, Any]]:
    """Parked messages of some queues in the words of Celery's own ``scheduled`` command.

    Those that cannot be read, and those whose task is not known here, are left out.
    """
    found: list[dict[str, Any]] = []
    for each in parked:
        queue = queue_of(each.list_key, prefix)
        if queue not in queues:
            continue
        try:
            message = from_raw(read(each.raw), each.id, queue)
        except MalformedMessage:
            continue
        task = app.tasks.get(message.headers.get("task"))
        if task is None:
            continue
        request = Request(
            message,
            app=app,
            hostname=hostname,
            task=task,
            body=message.payload,
            headers=message.headers,
            decoded=True,
            utc=True,
        )
        eta = request.eta and request.eta.isoformat()
        found.append({"eta": eta, "priority": 6, "request": request.info()})
    return found


class ShowParked(bootsteps.StartStopStep):
    """Lets the worker's ``scheduled`` command show it, with every pool whose worker itself consumes."""

    requires = (Control,)
    label = "Parked"

    def include_if(self, parent: Any) -> bool:
        """Not with the lane, whose own commands show it."""
        return not getattr(parent.pool, "consumes", False)

    def start(self, parent: Any) -> None:
        """Take the place of Celery's command."""
        channel = parent.task_consumer.channel
        if not isinstance(channel, LeasedChannel):
            return
        node = parent.blueprint.steps[Control.name].box.node
        usual: Callable[..., list[Any]] = node.handlers["scheduled"]

        def scheduled(panel: Any, **said: Any) -> list[Any]:
            """List what waits for its time, here and on the broker."""
            parked: list[Parked] = []
            with suppress(RedisError):  # the consumer will notice
                parked = channel.intake.parked(SHOWN)
            prefix: str = channel.global_keyprefix
            queues = {queue.name for queue in parent.task_consumer.queues}
            return usual(panel, **said) + shown(parent.app, parent.hostname, parked, prefix=prefix, queues=queues)

        node.handlers = {**node.handlers, "scheduled": scheduled, "dump_schedule": scheduled}

    def stop(self, parent: Any) -> None:
        """Nothing is held here."""
