"""What happens to a message between the server and Celery: only what can be run, and now, is handed on."""

from __future__ import annotations

import logging
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import amqp

from celeriac.exceptions import MalformedMessage, TooManyDeliveries
from celeriac.transport.envelope import read_task
from celeriac.transport.rabbitmq.names import BURIED, DEAD, DELAYS, plain_headers
from celeriac.transport.rabbitmq.topology import delayed_key, parking_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from celeriac.transport.envelope import Envelope
    from celeriac.transport.rabbitmq.courier import Courier
    from celeriac.transport.rules import Rules

__all__ = ["Intake"]

logger = logging.getLogger(__name__)

_WORTH_PARKING: Final = 1.0
"""Seconds: the delaying queues count in whole ones. The worker itself waits for the rest."""
_LONGEST_DETAIL: Final = 2000


class Intake:
    """Receives one queue's messages in place of the consumer that they are for."""

    def __init__(
        self, channel: Any, courier: Courier, queue: str, receive: Callable[[Any], Any], rules: Rules | None
    ) -> None:
        self._channel = channel
        self._courier = courier
        self._queue = queue
        self._receive = receive
        self._rules = rules

    def __call__(self, message: Any) -> None:
        """Look at a message, and hand it on if it can be run now."""
        self._channel.settler.hold(message.delivery_tag)
        properties: dict[str, Any] = message.properties
        wire: dict[str, Any] = properties.get("application_headers") or {}
        # Missing in the first delivery by RabbitMQ 4; what is no count at all came from a client.
        count: Any = wire.get("x-delivery-count", 0)
        deliveries: int = count if isinstance(count, int) else 0
        headers = plain_headers(wire)
        try:
            envelope = self._read(message, properties, headers)
        except MalformedMessage as error:
            self._bury(message, "malformed", str(error), deliveries + 1)
            return
        if deliveries and self._is_spent(message, envelope, deliveries):
            return
        if envelope.eta is not None and (wait := envelope.eta - time.time()) >= _WORTH_PARKING:
            self._park(message, headers, wait)
            return
        properties["application_headers"] = headers
        # As Celery knows it of a message that was sent to a queue by its name, so that a retry finds the queue again
        # after it came by way of the delaying queues.
        message.delivery_info.update(exchange="", routing_key=self._queue, deliveries=deliveries)
        self._channel.take(self, message)
        self._receive(message)

    def _read(self, message: Any, properties: dict[str, Any], headers: dict[str, Any]) -> Envelope:
        body: bytes | str = message.body
        envelope = read_task(
            body.encode() if isinstance(body, str) else bytes(body),
            headers,
            dict(properties),
            content_type=properties.get("content_type"),
            content_encoding=properties.get("content_encoding") or "utf-8",
            accept=None if self._rules is None else self._rules.accept,
        )
        if self._rules is not None and (check := self._rules.check) is not None:
            check(envelope)
        return envelope

    def _is_spent(self, message: Any, envelope: Envelope, deliveries: int) -> bool:
        """Bury a message that was delivered as often as it may be."""
        if self._rules is None:
            return False  # the queue's own limit holds
        task: str | None = envelope.headers.get("task")
        if deliveries < self._rules.most_deliveries(task):
            return False
        error = TooManyDeliveries(task=task, deliveries=deliveries)
        self._bury(message, "too-many-deliveries", str(error), deliveries)
        self._rules.give_up(envelope, error)
        return True

    def unwanted(self, message: Any) -> None:
        """A task, or Celery, does not want a message, now or ever: a dead letter."""
        headers: dict[str, Any] = message.headers or {}
        task = str(headers.get("task") or "")
        unknown = bool(task) and self._rules is not None and not self._rules.knows(task)
        reason, detail = (
            ("unknown-task", f"no task is named {task!r} here") if unknown else ("rejected", "the worker rejected it")
        )
        self._bury(message, reason, detail, int(message.delivery_info.get("deliveries") or 0) + 1)

    def _bury(self, message: Any, reason: str, detail: str, deliveries: int) -> None:
        logger.error("a message of queue %r is a dead letter (%s): %s", self._queue, reason, detail)
        why = {
            "reason": reason,
            "detail": detail[:_LONGEST_DETAIL],
            "deliveries": deliveries,
            "worker": f"{socket.gethostname()}:{os.getpid()}",
            "queue": self._queue,
            "died": datetime.now(UTC).isoformat(),
        }
        headers = plain_headers(message.properties.get("application_headers") or {})
        told = None if self._rules is None else self._rules.death_of(headers, self._queue, reason, detail)
        if told is not None and self._rules is not None:
            self._rules.tell(told[1])
        self._send(message, {**headers, BURIED: why}, DEAD, self._queue)

    def _park(self, message: Any, headers: dict[str, Any], seconds: float) -> None:
        """Let a message that came too early wait on the server, rather than in this worker's memory."""
        self._send(message, headers, DELAYS, delayed_key(seconds, parking_key(self._queue)))

    def _send(self, message: Any, headers: dict[str, Any], exchange: str, routing_key: str) -> None:
        properties = {**message.properties, "application_headers": headers, "delivery_mode": 2}
        # In a delaying queue it would be over too early, and the worker looks at `expires` itself.
        properties.pop("expiration", None)
        tag, channel = cast("int", message.delivery_tag), self._channel

        def done(moved: bool) -> None:  # noqa: FBT001  a callback
            if not channel.is_open:
                return  # the server has the original again
            if moved:
                channel.basic_ack(tag)
            else:
                # Counted, so that the server itself buries it at last.
                channel.basic_reject(tag, requeue=True)

        self._courier.send(amqp.Message(message.body, **properties), exchange, routing_key, done)
