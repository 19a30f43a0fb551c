"""Moves messages to other queues without waiting for the server: an original is settled once its copy is safe."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from celeriac.transport.rabbitmq.names import HOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from amqp import Message

__all__ = ["Courier"]


class Courier:
    """Publishes with confirms on a channel of its own, and tells the outcome when it comes.

    It never waits, as it works inside the callback of another message; and it holds no more than the prefetch limit
    allows, as the originals stay unacknowledged.
    """

    def __init__(self, connection: Any) -> None:
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._number = 0
        self._open: dict[int, Callable[[bool], None]] = {}
        events = self._channel.events
        events["basic_ack"].add(partial(self._settle, ok=True))
        events["basic_nack"].add(partial(self._settle, ok=False))
        events["basic_return"].add(self._returned)

    def send(self, message: Message, exchange: str, routing_key: str, done: Callable[[bool], None]) -> None:
        """Publish, and call ``done`` with whether the server has it, as soon as it has said so."""
        self._number += 1
        self._open[self._number] = done
        properties: dict[str, Any] = message.properties
        properties["application_headers"] = {**(properties.get("application_headers") or {}), HOP: self._number}
        self._channel.publish_unconfirmed(message, exchange=exchange, routing_key=routing_key, mandatory=True)

    def _settle(self, tag: int, multiple: bool, *, ok: bool) -> None:  # noqa: FBT001  amqp's
        for number in [each for each in self._open if each <= tag] if multiple else [tag]:
            if (done := self._open.pop(number, None)) is not None:
                done(ok)

    def _returned(self, _error: Exception, _exchange: str, _routing_key: str, message: Message) -> None:
        # The server's own acknowledgement follows, and finds nothing to settle.
        self._settle(int((message.headers or {}).get(HOP, 0)), False, ok=False)  # noqa: FBT003  amqp's
