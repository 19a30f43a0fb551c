"""A message as kombu's Redis transport writes it, to the byte, and the list that it goes to."""

from __future__ import annotations

import base64
from bisect import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from kombu import Queue
from kombu.entity import maybe_delivery_mode
from kombu.utils.json import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Binding", "Layout", "envelope", "properties_of"]

_STEPS: Final = (0, 3, 6, 9)
_SEPARATOR: Final = "\x06\x16"


@dataclass(frozen=True, slots=True)
class Binding:
    """What kombu notes on the server about a queue: stock tools and its own restoring look there."""

    queue: str
    commands: tuple[tuple[str, ...], ...]


class Layout:
    """How keys and bodies are written: kombu's transport options, as the app has them.

    Args:
        options: ``broker_transport_options``.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.prefix: str = options.get("global_keyprefix") or ""
        self.separator: str = options.get("sep") or _SEPARATOR
        self.steps: list[int] = list(options.get("priority_steps") or _STEPS)
        self.body_encoding: str | None = options.get("body_encoding", "base64")
        self._bindings: WeakKeyDictionary[Queue, Binding | None] = WeakKeyDictionary()

    def key(self, queue: str, priority: Any) -> str:
        """The list of a queue and a priority; anything that is no number counts as 0, as it does for kombu."""
        try:
            number = max(min(int(priority), 9), 0)
        except (TypeError, ValueError):
            number = 0
        step = self.steps[bisect(self.steps, number) - 1]
        return f"{self.prefix}{queue}{self.separator}{step}" if step else f"{self.prefix}{queue}"

    def encode(self, body: bytes | str) -> str:
        """A body that is serialized already, as it stands in the envelope."""
        if self.body_encoding and self.body_encoding.lower() != "utf-8":
            return base64.b64encode(body.encode() if isinstance(body, str) else body).decode()
        return body.decode() if isinstance(body, bytes) else body

    def destination(self, exchange: Any, routing_key: Any, declare: Any) -> Binding | None:
        """Where a message goes that is appended to one list and needs nothing else; ``None`` for every other."""
        if exchange != "" or not routing_key or declare is None or len(declare) != 1:
            return None
        (queue,) = declare
        if not isinstance(queue, Queue) or queue.name != routing_key:
            return None
        try:
            return self._bindings[queue]
        except KeyError:
            found = self._bindings[queue] = self.binding(queue)
            return found

    def binding(self, queue: Any) -> Binding | None:
        """What declaring a kombu queue would note; ``None`` where it is more than a list and a direct exchange."""
        arguments: dict[str, Any] = queue.queue_arguments or {}
        if queue.expires is not None or "x-expires" in arguments or queue.bindings or queue.no_declare:
            return None
        exchange = queue.exchange
        if exchange is None or not exchange.name:
            return Binding(queue.name, ())
        if exchange.type != "direct":
            return None
        member = self.separator.join([queue.routing_key or "", "", queue.name])
        tables = "_kombu.binding.", "_kombu.binding_permanent."
        return Binding(queue.name, tuple(("SADD", f"{self.prefix}{each}{exchange.name}", member) for each in tables))


def envelope(
    layout: Layout,
    body: str,
    *,
    content: tuple[str, str],
    headers: dict[str, Any],
    properties: dict[str, Any],
    priority: Any,
    queue: str,
    delivery_tag: str,
) -> str:
    """The whole message for a queue behind the anonymous exchange.

    Args:
        layout: how this app writes.
        body: as :meth:`Layout.encode` gives it.
        content: its type and its encoding, such as ``("application/json", "utf-8")``.
        headers: the task's.
        properties: AMQP's, as kombu's producer has them.
        priority: as said, on the scale of Redis.
        queue: the routing key.
        delivery_tag: the message's own id.
    """
    said = {
        **properties,
        "delivery_info": {**properties.get("delivery_info", {}), "exchange": "", "routing_key": queue},
    }
    said.update(priority=priority, body_encoding=layout.body_encoding, delivery_tag=delivery_tag)
    content_type, content_encoding = content
    return dumps(
        {
            "body": body,
            "content-encoding": content_encoding,
            "content-type": content_type,
            "headers": headers,
            "properties": said,
        }
    )


def properties_of(delivery_mode: Any, expiration: float | None, properties: Mapping[str, Any]) -> dict[str, Any]:
    """AMQP's properties as kombu's producer puts them together."""
    found = {**properties, "delivery_mode": maybe_delivery_mode(delivery_mode)}
    if expiration is not None:
        found["expiration"] = str(int(expiration * 1000))
    if isinstance(reply_to := found.get("reply_to"), Queue):
        found["reply_to"] = reply_to.name
    return found
