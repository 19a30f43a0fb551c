"""Celery as its manual has it: every option at its default, JSON, results on Redis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from celery import Celery, chord, group

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, RESULTS, URL, Peer

__all__ = ["PEER", "add", "app", "ping", "total"]

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(task_default_queue="default", task_ignore_result=not RESULTS)


@app.task(name="ping")
def ping() -> ledger.Result:
    return ledger.ping()


@app.task(name="example.add")
def add(x: int, y: int) -> int:
    return x + y


@app.task(name="example.total")
def total(numbers: list[int]) -> int:
    return sum(numbers)


class PEER(Peer):
    """Plain Celery."""

    def send(self) -> None:
        ping.delay()

    def call(self) -> None:
        ping.delay().get(timeout=PATIENCE)

    def bulk(self, count: int) -> None:
        group(ping.s() for _ in range(count)).apply_async()

    def fill(self, count: int) -> None:
        self.single(count)  # what a group sends carries more than a plain task

    def group(self, count: int) -> None:
        group(add.s(number, 1) for number in range(count))().get(timeout=PATIENCE)

    def chord(self, count: int) -> None:
        chord([add.s(number, 1) for number in range(count)])(total.s()).get(timeout=PATIENCE)

    def eta(self, count: int) -> None:
        due = datetime.now(UTC) + timedelta(hours=1)
        for _ in range(count):
            ping.apply_async(eta=due)
