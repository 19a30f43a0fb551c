"""How an application's queues are declared on RabbitMQ: quorum queues, unless a queue says that it is classic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery.app.amqp import Queues
from kombu import Exchange
from kombu.common import Broadcast

from celeriac.exceptions import InvalidSetting
from celeriac.transport.rabbitmq.names import CONSUMER_TIMEOUT, DEAD

if TYPE_CHECKING:
    from kombu import Queue

__all__ = ["CLASSIC", "QUORUM", "SafeQueues", "is_lasting", "queue_arguments", "type_of"]

_Queues: Any = Queues  # untyped
CLASSIC: Final = "classic"
QUORUM: Final = "quorum"
_HIGHEST: Final = 9


def queue_arguments(name: str, max_deliveries: int = 5) -> dict[str, Any]:
    """The arguments of a quorum queue of this name, for those who declare it without this kit.

    The server gives up after ``max_deliveries`` returned messages, which is one delivery later than our workers do:
    they bury the message and write down why, and the server steps in where they cannot.
    """
    return {
        "x-queue-type": QUORUM,
        "x-delivery-limit": max_deliveries,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-routing-key": name,  # by which it finds its way back
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
        "x-consumer-timeout": CONSUMER_TIMEOUT,
    }


def type_of(queue: Queue) -> str:
    """``quorum`` or ``classic``, or whatever else the queue says that it is."""
    return str((queue.queue_arguments or {}).get("x-queue-type") or CLASSIC)


def is_lasting(queue: Any) -> bool:
    """Whether a queue outlives connections and the server's restarts, and so may hold what must not be lost."""
    return bool(
        queue.durable
        and not queue.exclusive
        and not queue.auto_delete
        and not queue.expires
        and not isinstance(queue, Broadcast)
    )


class SafeQueues(_Queues):  # type: ignore[misc] # pyright: ignore[reportUntypedBaseClass]
    """Celery's table of queues, which completes every queue that is put into it, whoever does.

    Args:
        usual_type: the type of queues that do not say theirs.
        max_deliveries: see :func:`queue_arguments`.
    """

    def __init__(self, *args: Any, usual_type: str = QUORUM, max_deliveries: int = 5, **kwargs: Any) -> None:
        self.usual_type = usual_type
        self.max_deliveries = max_deliveries
        super().__init__(*args, **kwargs)

    def __setitem__(self, name: str, queue: Queue) -> None:
        if is_lasting(queue):
            self._complete(queue)
        super().__setitem__(name, queue)
        self._refuse_look_alikes(queue)

    def _set_max_priority(self, args: dict[str, Any]) -> None:
        if args.get("x-queue-type") == CLASSIC:
            args.setdefault("x-max-priority", self.max_priority)

    def _complete(self, queue: Any) -> None:
        said: dict[str, Any] = dict(queue.queue_arguments or {})
        # Who asks for priorities asks for a classic queue: before RabbitMQ 4.3 no other has as many.
        asks = "x-max-priority" in said or queue.max_priority is not None
        kind = said.setdefault("x-queue-type", CLASSIC if asks else self.usual_type)
        if kind == QUORUM:
            said = queue_arguments(queue.name, self.max_deliveries) | said
        elif kind == CLASSIC:
            usual = {"x-dead-letter-exchange": DEAD, "x-dead-letter-routing-key": queue.name}
            said = usual | {"x-max-priority": queue.max_priority or _HIGHEST} | said
        queue.queue_arguments = said
        exchange = queue.exchange
        if exchange and exchange.type == "direct" and exchange.name in {queue.name, ""}:
            # Nothing comes back from the delaying queues to a direct exchange: the key has the delay in front of it.
            queue.exchange = Exchange(exchange.name or queue.name, type="topic")
            queue.routing_key = queue.routing_key or queue.name

    def _refuse_look_alikes(self, queue: Queue) -> None:
        """A delayed message finds its queue by how its routing key ends, at a dot."""
        for other in self.values():
            short, long = sorted((str(queue.routing_key or ""), str(other.routing_key or "")), key=len)
            if other.name != queue.name and short and long.endswith(f".{short}"):
                problem = (
                    f"queues {other.name!r} and {queue.name!r} have the routing keys {other.routing_key!r} and"
                    f" {queue.routing_key!r}. On RabbitMQ a delayed task for {long!r} would run in both: rename one"
                )
                raise InvalidSetting(setting="task_queues", problem=problem)
