"""The Redis that keys, rates and records are kept in, asked from an event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from celeriac.exceptions import ConfigurationError
from celeriac.transport.link import Link
from celeriac.transport.server import place_of_small_things

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from celeriac.transport.connector import Connector
    from celeriac.transport.link import Script

    Command = tuple[bytes | str | float, ...]

__all__ = ["Server", "server_of"]

logger = logging.getLogger(__name__)

_TIMEOUT: Final = 0.5
"""Seconds that the server may take: a request waits for it."""
_REST: Final = 1.0
"""Seconds for which nobody asks a server that did not answer, so that it does not hold up every request."""
_GATHER: Final = 0.01
"""Seconds that a command without an answer waits for others to travel with."""
_BATCH: Final = 256
_MOST_TOLD: Final = 10_000
"""Commands without an answer that may wait to be sent."""


class Server:
    """One connection, shared by all that ask in one event loop.

    What is asked while an answer is under way travels together with the next, so a busy loop makes few round trips. The
    connection is opened at first need, in a thread of its own, and again after whatever broke it.

    Args:
        connect: opens a connection.
        prefix: what stands before every key of ours.
        timeout: seconds that an answer may take, connecting included.
    """

    def __init__(self, connect: Connector, prefix: str = "", timeout: float = _TIMEOUT) -> None:
        self.address = connect.address
        """The URL without its password."""
        self.prefix = prefix
        self._link = Link(connect, timeout=timeout)
        self._asked: deque[tuple[Command, asyncio.Future[Any] | None]] = deque()
        self._told = 0
        self._held: list[Command] = []
        self._sending: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._rests_until = 0.0
        self._why = ""

    async def ask(self, *command: bytes | str | float) -> Any:
        """One command, one reply; strings come as bytes.

        Raises:
            redis.exceptions.RedisError: no answer in time, none a moment ago, or the server refused.
        """
        if time.monotonic() < self._rests_until:
            raise RedisConnectionError(self._why)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.append((command, future))
        self._go()
        return await future

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | float] = ()) -> Any:
        """Run a script.

        Raises:
            redis.exceptions.RedisError: as :meth:`ask`.
        """
        try:
            return await self.ask(*script.named(keys, args))
        except NoScriptError:
            return await self.ask(*script.whole(keys, args))

    def tell(self, *command: bytes | str | float) -> bool:
        """Send a command soon, and wait for nothing. ``False`` if too many wait already: it is dropped.

        While the server is away it waits in this process's memory, and is sent once another command got through.
        """
        if self._told >= _MOST_TOLD:
            return False
        self._told += 1
        self._asked.append((command, None))
        self._send_later()
        return True

    async def close(self) -> None:
        """Send what waits, and close the connection. The next use opens another."""
        while self._asked or self._sending is not None:
            self._go()
            if self._sending is not None:
                await asyncio.wait([self._sending])
        if self._executor is not None:
            executor, self._executor = self._executor, None
            await asyncio.get_running_loop().run_in_executor(executor, self._link.close)
            executor.shutdown(wait=False)

    def _go(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._asked:
                batch = [self._asked.popleft() for _ in range(min(_BATCH, len(self._asked)))]
                self._settle(batch, await self._replies([command for command, _ in batch]))
                if all(future is None for _, future in self._asked):  # nobody waits for the rest
                    break
        finally:
            self._sending = None
            self._send_later()

    def _send_later(self) -> None:
        if self._asked and self._sending is None and self._later is None:
            self._later = asyncio.get_running_loop().call_later(_GATHER, self._go)

    async def _replies(self, commands: list[Command]) -> list[Any]:
        if time.monotonic() < self._rests_until:
            return [RedisConnectionError(self._why)] * len(commands)
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="celeriac-security")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._exchange, commands)
        except (RedisError, OSError) as error:
            if not self._why:
                logger.warning("%s does not answer: %s", self.address, error)
            self._why = str(error) or type(error).__name__
            self._rests_until = time.monotonic() + _REST
            return [RedisConnectionError(self._why)] * len(commands)

    def _exchange(self, commands: list[Command]) -> list[Any]:
        # What hung up while nobody asked is no fault: nothing was sent over it.
        if self._link.connected and not self._link.alive():
            self._link.close()
        return self._link.pipeline(commands)

    def _settle(self, batch: list[tuple[Command, asyncio.Future[Any] | None]], replies: list[Any]) -> None:
        if not all(isinstance(reply, RedisConnectionError) for reply in replies):
            self._why = ""
            self._asked.extend((command, None) for command in self._held)
            self._held.clear()
        for (command, future), reply in zip(batch, replies, strict=True):
            if future is None:
                self._settle_told(command, reply)
            elif future.done():  # who asked has gone
                continue
            elif isinstance(reply, Exception):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    def _settle_told(self, command: Command, reply: Any) -> None:
        if isinstance(reply, RedisConnectionError):
            self._held.append(command)
            return
        self._told -= 1
        if isinstance(reply, Exception):
            logger.warning("%s refused %s: %s", self.address, command[0], reply)


def server_of(app: Celery) -> Server:
    """Where an app keeps small things: with its results, else with its messages.

    Raises:
        ConfigurationError: neither is Redis.
    """
    found = place_of_small_things(app, "broker_write_url")
    if found is None:
        msg = "API keys, rates and the audit record are kept in Redis, and neither results nor messages are"
        raise ConfigurationError(problem=msg)
    return Server(*found)
