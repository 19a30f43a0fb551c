"""saq. Many are sent at once; it lets no more than 20 of its own operations run together unless told otherwise."""

from __future__ import annotations

from typing import Any

from saq import Queue

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, AsyncPeer

__all__ = ["PEER", "settings"]

queue = Queue.from_url(URL, name="bench")


async def ping(_context: Any) -> ledger.Result:
    return ledger.ping()


settings = {"queue": queue, "functions": [ping], "concurrency": 10}


class PEER(AsyncPeer):
    """Jobs of one queue."""

    async def start(self) -> None:
        await queue.connect()

    async def asend(self) -> Any:
        return await queue.enqueue("ping", ttl=600 if RESULTS else -1)

    async def acall(self) -> Any:
        return await queue.apply("ping", timeout=PATIENCE, poll_interval=0.001)
