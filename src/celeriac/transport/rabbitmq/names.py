"""The names under which the transport keeps its books on RabbitMQ. Queues are Celery's own."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["BURIED", "CONSUMER_TIMEOUT", "DEAD", "DEAD_QUEUE", "DELAYS", "DUE", "HOP", "REPLAY", "plain_headers"]

DEAD: Final = "celeriac.dead"
"""The exchange that dead letters go to, and the queue that keeps them."""
REPLAY: Final = "celeriac.replay"
"""The exchange through which the server itself moves a dead letter back to its queue."""
DELAYS: Final = "celery_delayed_27"
"""The exchange that messages with a delay go to: the longest of Celery's and kombu's chain of delaying queues."""
DUE: Final = "celery_delayed_delivery"
"""The exchange that they come out of."""
BURIED: Final = "celeriac-buried"
"""The header of a message that a worker made a dead letter: a table of why, where and when."""
HOP: Final = "celeriac-hop"
"""The header by which a message that the server could not route is known again."""

CONSUMER_TIMEOUT: Final = 30 * 24 * 3600 * 1000
"""Milliseconds a task may take before the server takes it away from its worker. Its own default is 30 minutes."""

DEAD_QUEUE: Final[dict[str, Any]] = {
    "x-queue-type": "quorum",
    # Who looks at a dead letter and puts it back has delivered it once more: RabbitMQ 4 would drop it after 20 looks.
    "x-delivery-limit": 1_000_000_000,
    "x-dead-letter-exchange": REPLAY,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-consumer-timeout": CONSUMER_TIMEOUT,
}
"""How the queue of dead letters is declared: what is rejected there goes back to its queue, without a client's help."""

_SERVERS: Final = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count", "x-acquired-count")


def plain_headers(headers: dict[str, Any]) -> dict[str, Any]:
    """A message's headers as its sender wrote them, without what the server and our workers added on its way.

    RabbitMQ before 4.0 believes the ``x-death`` of a message that is published again, and drops it silently as going
    round in circles.
    """
    return {
        name: value for name, value in headers.items() if not name.startswith(_SERVERS) and name not in {BURIED, HOP}
    }
