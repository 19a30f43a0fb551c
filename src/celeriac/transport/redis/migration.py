"""From kombu's own Redis transport to this one, and back. Both read the same lists; what differs is what is in hand."""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from celeriac.exceptions import WorkersRunning
from celeriac.transport.link import Link, connector
from celeriac.transport.redis.broker import RedisBroker

if TYPE_CHECKING:
    from collections.abc import Generator

    from celery import Celery

__all__ = ["adopt", "broker_of", "release"]


@contextmanager
def broker_of(app: Celery, timeout: float = 5.0) -> Generator[RedisBroker]:
    """The transport's operations on the broker of an app, over a connection of their own.

    Args:
        app: an app whose broker is Redis.
        timeout: seconds that the server may take to answer.
    """
    options: dict[str, Any] = app.conf.broker_transport_options or {}
    tls = {"ssl": app.conf.broker_use_ssl} if app.conf.broker_use_ssl else {}
    with closing(Link(connector(str(app.conf.broker_url), options={**options, **tls}), timeout=timeout)) as link:
        lease = float(options.get("lease", 30.0))
        yield RedisBroker(link, options.get("global_keyprefix", ""), lease)


def adopt(app: Celery) -> int:
    """Send back to the queues what stock workers held when they were killed; returns how many messages.

    Our workers do so by themselves once the visibility timeout is over, an hour unless said. This does it at once, so
    no stock worker may run any more: what it works on would run twice.
    """
    adopted = 0
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as client:
            for tag, packed in client.hgetall(channel.unacked_key).items():
                message, exchange, routing_key = json.loads(packed)
                with client.pipeline() as together:
                    channel._do_restore_message(message, exchange, routing_key, together)  # noqa: SLF001  kombu's way
                    together.zrem(channel.unacked_index_key, tag).hdel(channel.unacked_key, tag).execute()
                adopted += 1
    return adopted


def release(app: Celery) -> int:
    """Send back to the queues all that our workers held or parked, for stock workers to take; returns how many.

    Raises:
        WorkersRunning: workers of ours still hold leases.
    """
    with broker_of(app) as broker:
        owners = broker.owners()
        if live := sorted(owner for owner, left in owners.items() if left > 0):
            raise WorkersRunning(workers=", ".join(live))
        released = sum(broker.abandon(owner) for owner in owners)
        while unparked := broker.unpark():
            released += unparked
        return released
