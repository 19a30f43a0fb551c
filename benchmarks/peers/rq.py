"""rq. Its client waits for a result by asking for it: here every millisecond."""

from __future__ import annotations

import time

from redis import Redis
from rq import Queue

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, Peer

__all__ = ["PEER", "ping"]


def ping() -> ledger.Result:
    return ledger.ping()


class PEER(Peer):
    """Jobs of one queue."""

    BATCH = 1000

    def __init__(self) -> None:
        self.queue = Queue("default", connection=Redis.from_url(URL))
        self.keep = 500 if RESULTS else 0

    def send(self) -> None:
        self.queue.enqueue("benchmarks.peers.rq.ping", result_ttl=self.keep)

    def bulk(self, count: int) -> None:
        for done in range(0, count, self.BATCH):
            size = min(self.BATCH, count - done)
            self.queue.enqueue_many(
                [Queue.prepare_data("benchmarks.peers.rq.ping", result_ttl=self.keep) for _ in range(size)]
            )

    def call(self) -> None:
        job = self.queue.enqueue("benchmarks.peers.rq.ping")
        deadline = time.monotonic() + PATIENCE
        while job.latest_result() is None:
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.001)
