"""What the driver asks of a system."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["PATIENCE", "RESULTS", "URL", "AsyncPeer", "Peer"]

URL = os.environ.get("BENCH_URL", "")
"""The Redis database that is measured on."""
RESULTS = os.environ.get("BENCH_RESULTS", "1") == "1"
"""Whether results are stored."""
PATIENCE = 30
"""How many seconds to wait for one result."""


class Peer:
    """One system as its callers see it. Every operation takes the number of tasks."""

    def send(self) -> None:
        """Send one ping and return once Redis has it."""
        raise NotImplementedError

    def call(self) -> None:
        """Send one ping and wait for its result."""
        raise NotImplementedError

    def work(self) -> None:
        """Run a worker, where the system's command cannot be told what is needed."""
        raise NotImplementedError

    def single(self, count: int) -> None:
        """Send pings one after the other."""
        for _ in range(count):
            self.send()

    def bulk(self, count: int) -> None:
        """Send pings in the fastest way that the system documents."""
        self.single(count)

    def fill(self, count: int) -> None:
        """The same; no figure is taken, so nothing is sent to warm up."""
        self.bulk(count)

    def ask(self, count: int) -> list[float]:
        """Seconds from the call to the result, for each of some calls in sequence."""
        spent: list[float] = []
        for _ in range(count):
            started = time.perf_counter()
            self.call()
            spent.append(time.perf_counter() - started)
        return spent

    def group(self, count: int) -> None:
        """Start a group and wait for every result."""
        raise NotImplementedError

    def chord(self, count: int) -> None:
        """Start a chord and wait for the result of its callback."""
        raise NotImplementedError

    def eta(self, count: int) -> None:
        """Send pings that are due in an hour."""
        raise NotImplementedError


class AsyncPeer(Peer):
    """A system whose API is made of coroutines: one event loop for the whole process, uvloop's."""

    BATCH = 100
    """How many calls a bulk has under way at once."""

    def __init__(self) -> None:
        import uvloop  # noqa: PLC0415 - the environment of ours has none

        self._runner: asyncio.Runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.run(self.start())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        return self._runner.run(coroutine)

    async def start(self) -> None:
        """Connect."""

    async def asend(self) -> Any:
        """Send one ping."""
        raise NotImplementedError

    async def acall(self) -> Any:
        """Send one ping and wait for its result."""
        raise NotImplementedError

    async def abulk(self, count: int) -> None:
        """Send many: where there is no call for it, as many at once as the system takes."""
        for done in range(0, count, self.BATCH):
            await asyncio.gather(*(self.asend() for _ in range(min(self.BATCH, count - done))))

    def single(self, count: int) -> None:
        async def one_by_one() -> None:
            for _ in range(count):
                await self.asend()

        self.run(one_by_one())

    def bulk(self, count: int) -> None:
        self.run(self.abulk(count))

    def ask(self, count: int) -> list[float]:
        async def one_by_one() -> list[float]:
            spent: list[float] = []
            for _ in range(count):
                started = time.perf_counter()
                await self.acall()
                spent.append(time.perf_counter() - started)
            return spent

        spent: list[float] = self.run(one_by_one())
        return spent
