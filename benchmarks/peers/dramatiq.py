"""dramatiq. It has no call that sends many: its group enqueues one after the other."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, Peer

__all__ = ["PEER", "broker", "ping"]

broker = RedisBroker(url=URL)
if RESULTS:
    broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True) if RESULTS else dramatiq.actor
def ping() -> ledger.Result:
    return ledger.ping()


class PEER(Peer):
    """Messages of one actor."""

    def send(self) -> None:
        ping.send()

    def call(self) -> None:
        ping.send().get_result(block=True, timeout=PATIENCE * 1000)
