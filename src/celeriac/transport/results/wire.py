"""One connection that any thread may write to while another waits for what comes."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from contextlib import suppress
from ssl import SSLWantReadError, SSLWantWriteError
from typing import TYPE_CHECKING, Any, Final

from hiredis import ProtocolError, PushNotification, Reader
from redis._parsers import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from redis import Connection

__all__ = ["Wire"]

_MORE: Final = object()
_READ_SIZE: Final = 1 << 16


class Wire:
    """An open RESP3 connection, never blocking. Its owner's lock protects all of it but :meth:`wait`.

    Args:
        connection: a connected connection of redis-py, which it now owns.
    """

    def __init__(self, connection: Connection) -> None:
        owned: Any = connection
        self._connection = owned
        self._sock: Any = owned._sock  # noqa: SLF001  the socket is what redis-py does not hand out
        self._sock.settimeout(0)
        parser: Any = BaseParser
        self._reader: Any = Reader(protocolError=ProtocolError, replyError=parser.parse_error, notEnoughData=_MORE)
        self._expected: deque[tuple[float, Callable[[Any], None]]] = deque()
        self._unsent = bytearray()
        self._buffer = bytearray(_READ_SIZE)
        self._poll = select.poll()
        self._polled = select.POLLIN
        self._poll.register(self._sock, self._polled)
        self._holders = 1
        self.heard = time.monotonic()
        """When the server last said anything."""

    def fileno(self) -> int:
        """The socket's file descriptor."""
        return int(self._sock.fileno())

    def hold(self) -> None:
        """Keep the file descriptor open beyond :meth:`release` of the others, for whoever waits on it."""
        self._holders += 1

    def shut(self) -> None:
        """End the connection; whoever still waits on it wakes up, and the last one to let go closes it."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self.release()

    def abandon(self) -> None:
        """In a forked child: close our end, and leave the parent's alone."""
        self._connection.disconnect()

    def release(self) -> None:
        """The last one to let go closes the connection."""
        self._holders -= 1
        if not self._holders:
            self._connection.disconnect()

    def send(self, data: bytes, receivers: Iterable[Callable[[Any], None]] = ()) -> None:
        """Write commands, and remember who gets their replies, in order.

        Raises:
            OSError: the connection is broken.
        """
        now = time.monotonic()
        self._expected.extend((now, receiver) for receiver in receivers)
        self._unsent += data
        self.push_out()

    def push_out(self) -> None:
        """Write what is not written yet, as far as it goes.

        Raises:
            OSError: the connection is broken.
        """
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except (BlockingIOError, SSLWantWriteError, SSLWantReadError):
                return
            del self._unsent[:sent]

    def take(self) -> list[Any]:
        """Read what has come: replies go to their receivers, push messages are given.

        Raises:
            OSError: the connection is broken.
            redis.exceptions.ConnectionError: the server closed it, or talks nonsense.
        """
        self.push_out()
        pushes: list[Any] = []
        reader = self._reader
        while True:
            try:
                size = self._sock.recv_into(self._buffer)
            except (BlockingIOError, SSLWantReadError, SSLWantWriteError):
                return pushes
            if not size:
                msg = "Connection closed by server."
                raise RedisConnectionError(msg)
            self.heard = time.monotonic()
            reader.feed(self._buffer, 0, size)
            while (reply := reader.gets()) is not _MORE:
                if type(reply) is PushNotification:
                    pushes.append(reply)
                elif self._expected:
                    self._expected.popleft()[1](reply)
                else:
                    msg = f"a reply that nobody asked for: {reply!r}"
                    raise RedisConnectionError(msg)
            if size < _READ_SIZE and not getattr(self._sock, "pending", int)():
                return pushes

    def asked_since(self) -> float | None:
        """When the oldest command that has no reply yet was sent."""
        try:
            return self._expected[0][0]
        except IndexError:  # asked without the lock, too
            return None

    def wait(self, seconds: float) -> None:
        """Block until something has come, or can be written at last. One thread at a time, without the lock."""
        events = select.POLLIN | select.POLLOUT if self._unsent else select.POLLIN
        if events != self._polled:
            self._poll.modify(self._sock, events)
            self._polled = events
        self._poll.poll(max(seconds, 0) * 1000)
