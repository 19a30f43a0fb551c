"""huey. ``notify_result`` makes it wait for a result by BLPOP instead of asking again and again."""

from __future__ import annotations

import os

from huey import RedisHuey

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, Peer

__all__ = ["PEER", "huey", "ping"]

huey = RedisHuey("bench", url=URL, results=RESULTS, notify_result=os.environ.get("BENCH_MEASURE") == "latency")


@huey.task()
def ping() -> ledger.Result:
    return ledger.ping()


class PEER(Peer):
    """Calls of one task."""

    def send(self) -> None:
        ping()

    def call(self) -> None:
        ping().get(blocking=True, timeout=PATIENCE)
