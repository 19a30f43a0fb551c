"""kombu's transport on RabbitMQ: connections that stay alive while a task runs, and are given up when they are dead."""

# py-amqp is typed for those who call it, not for those who build upon it.
# pyright: basic, reportGeneralTypeIssues=false

from __future__ import annotations

import select
import threading
import time
from typing import Any, Final

from amqp.transport import SSLTransport
from kombu.exceptions import OperationalError
from kombu.transport import pyamqp
from kombu.utils.text import version_string_as_tuple
from typing_extensions import override

from celeriac.transport.rabbitmq.budget import remaining
from celeriac.transport.rabbitmq.channel import SafeChannel
from celeriac.transport.rabbitmq.courier import Courier
from celeriac.transport.rabbitmq.pulse import keep_alive
from celeriac.transport.rabbitmq.topology import bind_delays, bind_parking, declare_dead_letters, declare_delays

__all__ = ["CONFIRM_TIMEOUT", "SafeConnection", "SafeSSLTransport", "SafeTransport"]

_Connection: Any = pyamqp.Connection  # typed more narrowly than what they are called with
_Transport: Any = pyamqp.Transport
CONFIRM_TIMEOUT: Final = 5.0
"""Seconds to wait for a confirm where nobody says how long a publish may take."""


class SafeConnection(_Connection):  # type: ignore[misc]
    """One connection to the server.

    Args:
        confirm_timeout: seconds that the server may take to confirm a message.
        rules: what the application says about the messages that its workers take.
    """

    Channel = SafeChannel
    client: Any = None

    def __init__(self, *args: Any, confirm_timeout: float = CONFIRM_TIMEOUT, rules: Any = None, **kwargs: Any) -> None:
        self.confirm_timeout = confirm_timeout
        self.rules = rules
        self._courier: Courier | None = None
        self._writing = threading.Lock()
        super().__init__(*args, **kwargs)

    @property
    def version(self) -> tuple[int, ...]:
        """RabbitMQ's; ``(0,)`` for another server."""
        told = self.server_properties.get("version")
        return tuple(version_string_as_tuple(str(told))[:3]) if told else (0,)

    @override
    def connect(self, callback: Any = None) -> Any:
        connected = super().connect(callback)
        if isinstance(self._transport, SSLTransport):
            self._guard(self._transport)
        if self.heartbeat:
            keep_alive(self)
        return connected

    def _guard(self, transport: Any) -> None:
        """OpenSSL cannot be used by two threads at once: heartbeats stand back while there is other traffic."""

        def alone(use: Any) -> Any:
            def guarded(*args: Any) -> Any:
                with self._writing:
                    return use(*args)

            return guarded

        transport._write, transport._quick_recv = alone(transport._write), alone(transport._quick_recv)  # noqa: SLF001  it has no other seam

    @override
    def drain_events(self, timeout: float | None = None) -> Any:
        # py-amqp begins to count again with every heartbeat of the server, and may never come to an end.
        if not timeout:
            return super().drain_events(timeout)
        deadline = time.monotonic() + timeout
        while not self.blocking_read(max(deadline - time.monotonic(), 0.001)):
            if time.monotonic() >= deadline:
                raise TimeoutError
        return None

    def beat(self) -> None:
        """Send a heartbeat, from whatever thread: frames are written one at a time."""
        if self._frame_writer is None or self._writing.locked():
            return
        self.send_heartbeat()

    def has_news(self) -> bool:
        """Whether the server has said something that was not read yet."""
        sock = None if self._transport is None else self._transport.sock
        return sock is not None and bool(select.select([sock], [], [], 0)[0])

    def courier_for(self, queue: str) -> Courier:
        """What moves messages of this queue elsewhere, with all that it needs on the server."""
        if self._courier is None:
            with self.channel() as channel:
                declare_dead_letters(channel)
            declare_delays(self.client, self.rules.delay_queue_type)
            self._courier = Courier(self)
        with self.channel() as channel:
            if (declared := self.rules.queue(queue)) is not None:
                bind_delays(channel, declared)
            bind_parking(channel, queue)
        return self._courier

    @override
    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close, once what is done was acknowledged."""
        for channel in list((self.channels or {}).values()):
            if isinstance(channel, SafeChannel):
                channel.settler.finish()
        return super().close(*args, **kwargs)

    @override
    def collect(self) -> None:
        self._courier = None
        super().collect()


class SafeTransport(_Transport):  # type: ignore[misc]
    """For ``amqp://``."""

    Connection = SafeConnection

    def establish_connection(self) -> Any:
        """Connect, within what is left of the time for a publish.

        Raises:
            kombu.exceptions.OperationalError: nothing is left.
        """
        left, client = remaining(), self.client
        if left is None:
            return super().establish_connection()
        if not left:
            msg = "no time was left to connect once more"
            raise OperationalError(msg)
        usual = client.connect_timeout
        client.connect_timeout = min(usual or left, left)
        try:
            return super().establish_connection()
        finally:
            client.connect_timeout = usual

    def heartbeat_check(self, connection: SafeConnection, rate: float = 2) -> Any:
        """Raise if the server was silent for too long.

        A worker that was busy has simply not listened: what it has not read yet proves that the server is alive.
        """
        if connection.has_news():
            connection.prev_recv = None
        return super().heartbeat_check(connection, rate=rate)


class SafeSSLTransport(SafeTransport):
    """For ``amqps://``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        client = self.client
        client.ssl = client.ssl or True
