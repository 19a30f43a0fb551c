"""A message in flight, as kombu and Celery know it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kombu.message import Message
from kombu.transport import virtual

if TYPE_CHECKING:
    from celeriac.transport.envelope import Envelope
    from celeriac.transport.redis.broker import Delivery

__all__ = ["LeasedMessage"]


class LeasedMessage(virtual.Message):
    """Read and checked already; its delivery tag is the token of its lease.

    ``delivery_info["deliveries"]`` counts how often it was delivered before, and ``["redelivered"]`` says whether.
    """

    def __init__(self, envelope: Envelope, delivery: Delivery, *, queue: str, channel: Any) -> None:
        properties = envelope.properties
        said: dict[str, Any] = properties["delivery_info"]
        said.setdefault("exchange", "")
        said.setdefault("routing_key", queue)
        said["deliveries"] = delivery.deliveries
        if delivery.deliveries:
            said["redelivered"] = True
        plain: Any = Message  # past virtual.Message, which would decode once more
        plain.__init__(
            self,
            body=envelope.body,
            channel=channel,
            delivery_tag=delivery.token,
            content_type=envelope.content_type,
            content_encoding=envelope.content_encoding,
            headers=envelope.headers,
            properties=properties,
            delivery_info=said,
        )
        self._decoded_cache = envelope.payload
        self._raw = delivery.raw
        self.queue = queue
