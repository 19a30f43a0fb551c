"""What has to stand on the server before messages can die, wait, or come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote

from amqp.exceptions import NotFound
from kombu.transport.native_delayed_delivery import (
    MAX_NUMBER_OF_BITS_TO_USE,
    calculate_routing_key,
    declare_native_delayed_delivery_exchanges_and_queues,
)

from celeriac.transport.rabbitmq.names import DEAD, DEAD_QUEUE, DUE, REPLAY

if TYPE_CHECKING:
    from kombu import Queue

__all__ = [
    "LONGEST_DELAY",
    "bind_delays",
    "bind_parking",
    "declare_dead_letters",
    "declare_delays",
    "delayed_key",
    "key_behind",
    "parking_key",
]

LONGEST_DELAY: Final = 2**MAX_NUMBER_OF_BITS_TO_USE - 1
"""Seconds that a message can be delayed at once: more than eight years."""


def declare_dead_letters(channel: Any) -> None:
    """Declare where dead letters go, and the way back. Four round trips."""
    channel.exchange_declare(DEAD, "fanout", durable=True, auto_delete=False)
    channel.exchange_declare(REPLAY, "direct", durable=True, auto_delete=False)
    channel.queue_declare(DEAD, durable=True, auto_delete=False, arguments=DEAD_QUEUE)
    channel.queue_bind(DEAD, DEAD)


def declare_delays(connection: Any, queue_type: str) -> None:
    """Declare Celery's chain of delaying queues, if it is not there. One round trip once it is.

    Args:
        connection: kombu's.
        queue_type: ``quorum`` or ``classic``, as ``broker_native_delayed_delivery_queue_type`` has it.
    """
    channel = connection.channel()
    try:
        channel.exchange_declare(DUE, "topic", passive=True)  # the last that is declared
    except NotFound:
        declare_native_delayed_delivery_exchanges_and_queues(connection, queue_type)
    finally:
        channel.close()


def bind_delays(channel: Any, queue: Queue) -> None:
    """Let delayed messages come back to a queue through its own exchange, exactly as Celery's workers bind it."""
    bound = queue.bind(channel)
    exchange = cast("Any", bound.exchange)
    bound.declare()
    if not exchange or exchange.type == "direct":
        return
    key = queue.routing_key if str(queue.routing_key).startswith("#") else f"#.{queue.routing_key}"
    exchange.bind_to(DUE, routing_key=key)
    bound.bind_to(exchange.name, routing_key=key)


def bind_parking(channel: Any, queue: str) -> None:
    """Let messages that a worker took from a queue too early come back to that queue, whatever its exchange."""
    channel.queue_bind(queue, DUE, routing_key=f"#.{parking_key(queue)}")


def parking_key(queue: str) -> str:
    """The routing key that leads out of the delaying queues to this queue alone: one word, without a dot."""
    return f"celeriac-{quote(queue, safe='').replace('.', '%2E')}"


def key_behind(delayed: str) -> str:
    """The routing key of a delayed message without its delay."""
    return delayed.split(".", MAX_NUMBER_OF_BITS_TO_USE)[-1]


def delayed_key(seconds: float, key: str) -> str:
    """The routing key that delays a message so many seconds, in whole seconds."""
    return calculate_routing_key(min(max(int(seconds), 1), LONGEST_DELAY), key)
