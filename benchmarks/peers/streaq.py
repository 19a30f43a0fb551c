"""streaq. Its command always logs each task, so its worker is started from here, as quiet as all the others."""

from __future__ import annotations

import logging
from typing import Any

from streaq import Worker

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, AsyncPeer

__all__ = ["PEER", "worker"]

worker: Any = Worker(redis_url=URL, concurrency=32)


@worker.task(name="ping", ttl=600 if RESULTS else 0)
async def ping() -> ledger.Result:
    return ledger.ping()


class PEER(AsyncPeer):
    """Tasks of one worker object."""

    BATCH = 1000

    def __init__(self) -> None:
        """Connect when there is something to send."""

    def single(self, count: int) -> None:
        self._begin()
        super().single(count)

    def bulk(self, count: int) -> None:
        self._begin()
        super().bulk(count)

    def ask(self, count: int) -> list[float]:
        self._begin()
        return super().ask(count)

    def _begin(self) -> None:
        if not hasattr(self, "_runner"):
            super().__init__()

    async def start(self) -> None:
        await worker.__aenter__()

    async def asend(self) -> Any:
        return await ping.enqueue()

    async def acall(self) -> Any:
        task = await ping.enqueue()
        return await task.result(timeout=PATIENCE)

    async def abulk(self, count: int) -> None:
        for done in range(0, count, self.BATCH):
            await worker.enqueue_many([ping.enqueue() for _ in range(min(self.BATCH, count - done))])

    def work(self) -> None:
        logging.basicConfig(level=logging.WARNING)
        worker.run_sync()
