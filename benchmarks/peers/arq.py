"""arq. Worker and client ask again and again: here every 5 ms, while its worker's default is 500."""

from __future__ import annotations

from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import func

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, AsyncPeer

__all__ = ["PEER", "WorkerSettings"]


async def ping(_context: Any) -> ledger.Result:
    return ledger.ping()


class WorkerSettings:
    """What ``arq`` reads."""

    functions = (func(ping, name="ping", keep_result=600 if RESULTS else 0),)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = 100
    poll_delay = 0.005


class PEER(AsyncPeer):
    """Jobs of one pool."""

    BATCH = 50  # its pool has no more than 100 connections

    async def start(self) -> None:
        self.pool = await create_pool(WorkerSettings.redis_settings)

    async def asend(self) -> Any:
        return await self.pool.enqueue_job("ping")

    async def acall(self) -> Any:
        job = await self.pool.enqueue_job("ping")
        return await job.result(timeout=PATIENCE, poll_delay=0.005)
