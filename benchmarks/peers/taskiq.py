"""taskiq with taskiq-redis: a list, which loses what a killed worker held, or a stream with acknowledgements."""

from __future__ import annotations

import os
from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, AsyncPeer

__all__ = ["PEER", "broker", "ping"]

broker: Any
if os.environ.get("BENCH_VARIANT") == "streams":
    broker = RedisStreamBroker(URL, consumer_id="0")  # from the first message: the queue is filled before workers start
else:
    broker = ListQueueBroker(URL)
if RESULTS:
    broker = broker.with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=600))


@broker.task(task_name="ping")
async def ping() -> ledger.Result:
    return ledger.ping()


class PEER(AsyncPeer):
    """Kicks of one task."""

    async def start(self) -> None:
        await broker.startup()

    async def asend(self) -> Any:
        return await ping.kiq()

    async def acall(self) -> Any:
        task = await ping.kiq()
        return await task.wait_result(check_interval=0.001, timeout=PATIENCE)
