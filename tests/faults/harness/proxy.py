"""A TCP proxy that can break what passes through it, in the ways that networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.faults.harness.waiting import free_port

T = TypeVar("T")

_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER, no seconds: close() sends RST instead of FIN


class _Link:
    """One client's connection and its counterpart at the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.ends = (client, server)
        self.dead = False  # half-open: nothing passes ever again, and nobody is told
        self.free = asyncio.Event()  # or else what comes is kept, to be passed on later
        self.free.set()

    def reset(self) -> None:
        for writer in self.ends:
            with suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class TcpProxy:
    """Listens on a port of its own that stays the same, and forwards to ``target`` until it is told to break something.

    Runs in a thread of this process; its methods return once the fault is in force.

    Args:
        target: the port of 127.0.0.1 that it forwards to.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._flows: asyncio.Event | None = None
        self._delay = 0.0
        self._cut_after: int | None = None
        self._mute = False

    def url(self, scheme: str = "redis", path: str = "/0") -> str:
        """Where clients connect to."""
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._links)

    def mend(self) -> None:
        """Forward everything again; connections that were held back go on, dead ones stay dead."""
        self._call(self._mend())

    def reset(self) -> None:
        """Break every connection by RST. New ones are fine."""
        self._call(self._reset())

    def refuse(self) -> None:
        """Break every connection and refuse new ones until mended."""
        self._call(self._refuse())

    def blackhole(self) -> None:
        """Swallow everything, of old connections and new ones, without a word, until mended."""
        self._call(self._blackhole())

    def half_open(self) -> None:
        """Old connections never carry anything again, and nobody is told. New ones are fine."""
        self._call(self._half_open())

    def hold(self) -> None:
        """What old connections carry is kept until mended, and arrives then, wanted or not. New ones are fine."""
        self._call(self._hold())

    def slow(self, seconds: float) -> None:
        """Delay every piece, in both directions, until mended."""
        self._delay = seconds

    def mute(self) -> None:
        """Requests arrive, and no reply does, until mended: what was asked for happens, and who asked never knows."""
        self._mute = True

    def cut_after(self, count: int) -> None:
        """Once, on the next reply that comes: pass so many bytes of it, then reset that connection."""
        self._cut_after = count

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._flows is None:
            self._flows = asyncio.Event()
            self._flows.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK)

    async def _close(self) -> None:
        await self._refuse()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _mend(self) -> None:
        self._delay, self._cut_after, self._mute = 0.0, None, False
        assert self._flows is not None
        self._flows.set()
        for link in self._links:
            link.free.set()
        await self._listen()

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _blackhole(self) -> None:
        assert self._flows is not None
        self._flows.clear()

    async def _half_open(self) -> None:
        for link in self._links:
            link.dead = True

    async def _hold(self) -> None:
        for link in self._links:
            link.free.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target, limit=_CHUNK)
        except OSError:  # the server itself is down
            writer.transport.abort()
            return
        link = _Link(writer, to_server)
        self._links.add(link)
        ways = (self._pump(link, reader, to_server, replies=False), self._pump(link, from_server, writer, replies=True))
        try:
            with suppress(asyncio.CancelledError):  # the proxy is closed
                await asyncio.gather(*ways)
        finally:
            self._links.discard(link)
            for end in link.ends:
                end.transport.abort() if link.dead else end.close()

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        assert self._flows is not None
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._flows.wait()
                await link.free.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                if link.dead or (replies and self._mute):
                    continue
                if replies and self._cut_after is not None:
                    writer.write(data[: self._cut_after])
                    await writer.drain()
                    self._cut_after = None
                    await asyncio.sleep(0.05)  # so that the piece arrives before the reset that would overtake it
                    link.reset()
                    return
                writer.write(data)
                await writer.drain()
        if not link.dead:  # the end of one direction is passed on
            writer.close()
