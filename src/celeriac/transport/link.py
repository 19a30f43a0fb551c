"""One lean connection to Redis. redis-py connects; after that, commands go over the bare socket.

A command through redis-py costs some 60 us of Python. Here it costs the two system calls, and hiredis's parser.
"""

from __future__ import annotations

import hashlib
import select
import time
from os import getpid
from ssl import SSLWantReadError
from typing import TYPE_CHECKING, Any, Final, cast

import hiredis
from hiredis import ProtocolError, PushNotification, Reader
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celeriac.transport.connector import Connector, connector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from redis import Connection

__all__ = ["Link", "Script", "connector", "packed"]

_hiredis: Any = hiredis  # typed for commands of one word
_parser: Any = BaseParser
packed: Final[Callable[[tuple[bytes | str | float, ...]], bytes]] = _hiredis.pack_command
"""Renders a command."""

_MORE: Final = object()
"""What the parser gives while a reply is not whole."""
_READ_SIZE: Final = 1 << 16
_GONE: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)
_LOOK_OUT: Final = 60e-6
"""Seconds that a reply is looked out for before sleeping. One of a server on this machine comes in 20 to 50 us."""
_SHY: Final = 255
"""Replies at most for which nobody looks out after it was in vain."""


class Link:
    """One connection to Redis, opened at the first command and again after whatever broke it.

    Any error of the socket and any timeout closes it: what would come after could be the answer to something else. In
    a forked child it opens a connection of its own and leaves the parent's alone. One thread at a time may use it.

    Args:
        connect: gives a connected connection of redis-py; see :func:`connector`. With ``protocol=3`` for pushes.
        timeout: seconds that a command may take, connecting included, where the call does not say.
        on_connect: called with the link after each new connection, before anything else is sent over it: to subscribe,
            to turn tracking on, to forget what the former server knew.
    """

    def __init__(
        self, connect: Callable[[], Connection], *, timeout: float, on_connect: Callable[[Link], None] | None = None
    ) -> None:
        self._connect = connect
        self._on_connect = on_connect
        self.timeout = timeout
        self.uncertain = False
        """Whether the command that failed had been written in full, so that the server may have carried it out."""
        self._connection: Connection | None = None
        self._sock: Any = None
        self._reader: Any = None
        self._gone: Any = None
        self._come: Any = None
        self._patience: float | None = None
        self._misses = 0
        self._shy = 0
        self._pid = 0
        self._pushes: list[Any] = []
        self._buffer = bytearray(_READ_SIZE)

    @property
    def connected(self) -> bool:
        """Whether a connection is open here; the server may have closed its end: see :meth:`alive`."""
        return self._sock is not None and self._pid == getpid()

    def alive(self) -> bool:
        """Whether a connection is open and the server has not hung up. Costs one system call, no round trip."""
        return self.connected and not self._gone.poll(0)

    def open(self, timeout: float | None = None) -> None:
        """Connect, unless connected.

        Raises:
            redis.exceptions.ConnectionError: refused, or not let in.
            redis.exceptions.TimeoutError: no answer in time.
        """
        if self.connected:
            return
        self.uncertain = False
        if self._pid != getpid():
            self._pushes = []  # the parent's
        self.close()
        allowed = self.timeout if timeout is None else timeout
        try:
            connection = self._connect(allowed) if isinstance(self._connect, Connector) else self._connect()
        except OSError as error:  # redis-py's own errors are no OSErrors
            raise _translated(error) from error
        self._connection = connection
        opened: Any = connection
        self._sock = sock = opened._sock  # noqa: SLF001  what redis-py does not hand out
        self._reader = Reader(protocolError=ProtocolError, replyError=_parser.parse_error, notEnoughData=_MORE)
        self._gone = select.poll()
        self._gone.register(sock, _GONE)
        self._come = select.poll()
        self._come.register(sock, select.POLLIN)
        self._patience = None
        self._pid = getpid()
        if self._on_connect is not None:
            try:
                self._on_connect(self)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the connection; the next command opens another. Pushes that arrived are kept."""
        connection, self._connection = self._connection, None
        self._sock = self._reader = self._gone = self._come = None
        if connection is not None:
            cast("Any", connection).disconnect()  # in a forked child: our end of it alone

    def fileno(self) -> int:
        """The socket's file descriptor.

        Raises:
            redis.exceptions.ConnectionError: nothing is open.
        """
        if self._sock is None:
            msg = "Not connected"
            raise RedisConnectionError(msg)
        return int(self._sock.fileno())

    # -- commands and replies

    def call(self, *args: bytes | str | float, timeout: float | None = None) -> Any:
        """One command, one reply; strings come as bytes.

        Raises:
            redis.exceptions.ResponseError: or another error of redis-py's, as the server answered.
            redis.exceptions.ConnectionError: the connection broke. See :attr:`uncertain`.
            redis.exceptions.TimeoutError: no reply in time.
        """
        (reply,) = self.send_packed(packed(args), 1, timeout)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def pipeline(self, commands: Sequence[tuple[bytes | str | float, ...]], timeout: float | None = None) -> list[Any]:
        """Several commands in one write, their replies in order; an error of the server's comes as an object.

        Raises:
            redis.exceptions.ConnectionError: and the like, as :meth:`call`, but for errors that the server answers.
        """
        return self.send_packed(b"".join(map(packed, commands)), len(commands), timeout)

    def send_packed(self, data: bytes, replies: int, timeout: float | None = None) -> list[Any]:
        """Write commands that are rendered already, and read their replies; ``replies=0`` only writes.

        Raises:
            redis.exceptions.ConnectionError: and the like, as :meth:`pipeline`.
        """
        allowed = self.timeout if timeout is None else timeout
        if self._sock is None or self._pid != getpid():
            deadline = time.monotonic() + allowed
            self.open(allowed)
            allowed = max(deadline - time.monotonic(), 0.001)
        self.write(data, allowed)
        return self.read(replies, allowed) if replies else []

    def write(self, data: bytes, timeout: float) -> None:
        """Write rendered commands over the open connection, and read nothing yet: their replies are still to be read.

        Raises:
            redis.exceptions.ConnectionError: not all of it was written.
            redis.exceptions.TimeoutError: not all of it was written in time.
        """
        self.uncertain = False
        try:
            if timeout != self._patience:
                self._sock.settimeout(timeout)
                self._patience = timeout
            self._sock.sendall(data)
        except BaseException as error:
            self._break(error)
            raise
        self.uncertain = True

    def read(self, replies: int, timeout: float) -> list[Any]:
        """Read as many replies, of commands written before. Pushes among them are kept for :meth:`wait`.

        Raises:
            redis.exceptions.ConnectionError: the connection broke.
            redis.exceptions.TimeoutError: not all replies came in time.
        """
        answers: list[Any] = []
        stale, deadline = False, 0.0
        try:
            gets = self._reader.gets
            while len(answers) < replies:
                reply = gets()
                if reply is _MORE:
                    # The first look takes the timeout as it is set already: to change it costs a system call.
                    left = max(deadline - time.monotonic(), 0.001) if deadline else timeout
                    if not deadline:
                        deadline = time.monotonic() + timeout
                        self._look_out()
                    self._fill(left)
                elif type(reply) is PushNotification:
                    self._pushes.append(reply)
                else:
                    answers.append(reply)
                    stale = stale or type(reply) is ReadOnlyError
        except BaseException as error:
            self._break(error)
            raise
        if stale:  # no master any more: connecting again finds the one that is
            self.close()
        return answers

    def wait(self, timeout: float) -> list[Any]:
        """Block until push messages are there, at most ``timeout`` seconds, and give them; ``[]`` if none came.

        Raises:
            redis.exceptions.ConnectionError: the connection broke.
        """
        if not self._pushes:
            self.open()
            deadline = time.monotonic() + timeout
            try:
                self._take_pushes()
                while not self._pushes:
                    self._fill(max(deadline - time.monotonic(), 0.0))
                    self._take_pushes()
            except (BlockingIOError, SSLWantReadError, TimeoutError):
                return []
            except BaseException as error:
                self._break(error)
                raise
        pushes, self._pushes = self._pushes, []
        return pushes

    def _take_pushes(self) -> None:
        while (reply := self._reader.gets()) is not _MORE:
            if type(reply) is not PushNotification:
                msg = f"a reply that nobody asked for: {reply!r}"
                raise RedisConnectionError(msg)
            self._pushes.append(reply)

    def _look_out(self) -> None:
        """Look for the reply a little while before sleeping until it comes.

        A server nearby answers in less time than it takes to be put to sleep and woken. Where it does not, as over a
        network, this is soon tried only now and then.
        """
        if self._shy:
            self._shy -= 1
            return
        come, until = self._come.poll, time.perf_counter() + _LOOK_OUT
        while not come(0):
            if time.perf_counter() > until:
                self._misses = self._shy = min(2 * self._misses + 1, _SHY)
                return
        self._misses = 0

    def _fill(self, patience: float) -> None:
        """Read what has come, or wait for it."""
        sock = self._sock
        if patience != self._patience:
            sock.settimeout(patience)
            self._patience = patience
        size = sock.recv_into(self._buffer)
        if not size:
            msg = "Connection closed by server."
            raise RedisConnectionError(msg)
        self._reader.feed(self._buffer, 0, size)

    def _break(self, error: BaseException) -> None:
        """Close, and raise what is not redis-py's error yet as one of redis-py's."""
        self.close()
        # AttributeError: another thread closed the link, and its socket was gone.
        if isinstance(error, OSError | ProtocolError | AttributeError) and not isinstance(error, RedisError):
            raise _translated(error) from error


class Script:
    """A Lua script that is sent whole once a server, and named by its hash after that."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def call(
        self,
        link: Link,
        keys: Sequence[bytes | str],
        args: Sequence[bytes | str | float] = (),
        timeout: float | None = None,
    ) -> Any:
        """Run it.

        Raises:
            redis.exceptions.ConnectionError: and the others of :meth:`Link.call`.
        """
        try:
            return link.call(*self.named(keys, args), timeout=timeout)
        except NoScriptError:
            return link.call(*self.whole(keys, args), timeout=timeout)

    def named(
        self, keys: Sequence[bytes | str], args: Sequence[bytes | str | float] = ()
    ) -> tuple[bytes | str | float, ...]:
        """The command that runs it on a server that knows it; another answers with ``NoScriptError``."""
        return ("EVALSHA", self._sha, len(keys), *keys, *args)

    def whole(
        self, keys: Sequence[bytes | str], args: Sequence[bytes | str | float] = ()
    ) -> tuple[bytes | str | float, ...]:
        """The command that runs it on any server, and makes it known there."""
        return ("EVAL", self._text, len(keys), *keys, *args)


def _translated(error: Exception) -> RedisError:
    if isinstance(error, TimeoutError):
        return RedisTimeoutError("Timeout: the server did not answer")
    return RedisConnectionError(str(error) or type(error).__name__)
