"""One test's servers, workers and producers, and the verdict over them."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.faults.harness.census import Census
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.producer import Producer
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.verdict import Verdict
from tests.faults.harness.waiting import happens_within, until
from tests.faults.harness.worker import Pool, Worker

APP = "tests.faults.harness.app"
STOCK = "tests.faults.harness.stock"
LEASE = 3.0
"""Seconds for which these tests' messages are lent, instead of 30: the same machinery, sooner."""
RETURN = LEASE + 5
"""Seconds in which the message of a dead worker must be back in its queue."""


class Scenario:
    """Everything is made when it is asked for, and ended with the test.

    Args:
        directory: for data, logs and the ledger.
        chance: the test's own.
        note: is given each verdict as a text.
    """

    def __init__(self, directory: Path, chance: random.Random, note: Callable[[str], None] = print) -> None:
        self.directory = directory
        self.chance = chance
        self.ledger = Ledger(directory / "ledger")
        self._note = note
        self._stack = ExitStack()
        self._stack.callback(self.ledger.close)
        self._brokers: list[PrivateRedis] = []
        self._workers = 0

    def close(self) -> None:
        """End everything, latest first."""
        self._stack.close()

    def redis(self, **options: Any) -> PrivateRedis:
        """A server, started; options as of :class:`PrivateRedis`."""
        server = PrivateRedis(self.directory / f"redis-{len(self._brokers)}", **options)
        self._brokers.append(self._stack.enter_context(server))
        return server

    def proxy(self, target: int) -> TcpProxy:
        """A proxy before the server of that port."""
        return self._stack.enter_context(TcpProxy(target))

    def producer(self, url: str, **options: Any) -> Producer:
        """An application that calls tasks through the broker at ``url``, which keeps the results too."""
        producer = Producer(self.ledger, **{"redis_url": url, "broker_lease": LEASE, **options})
        self._stack.callback(producer.close)
        return producer

    def worker(
        self, url: str, *, app: str = APP, env: Mapping[str, str] | None = None, lease: float = LEASE, **options: Any
    ) -> Worker:
        """A worker, not yet started; options as of :class:`Worker`."""
        self._workers += 1
        said = {
            "REDIS_URL": url,
            "FAULTS_LEDGER": str(self.ledger.path),
            "CELERY_BROKER_LEASE": str(lease),
            "LOGGING_LEVEL": "INFO",
            **(env or {}),
        }
        return Worker(app, self.directory, env=said, name=f"worker-{self._workers}", **options)

    def running(self, url: str, *, pool: Pool = "lane", **options: Any) -> Worker:
        """A worker that consumes."""
        return self._stack.enter_context(self.worker(url, pool=pool, **options))

    def wait_for_done(self, count: int, timeout: float = 30) -> None:
        """Wait until so many different tasks are done."""
        until(lambda: len(self.ledger.counts("done")) >= count, timeout=timeout, what=f"{count} tasks done")

    def wait_for_started(self, count: int, timeout: float = 30) -> None:
        """Wait until so many different tasks have been started."""
        until(lambda: len(self.ledger.counts("started")) >= count, timeout=timeout, what=f"{count} tasks started")

    def settle(self, server: PrivateRedis | None = None, *, timeout: float = 60) -> Verdict:
        """Wait until every acknowledged task is done or dead and the broker holds none, at most ``timeout`` seconds.

        The verdict is given in any case: what did not come in time is in it. The broker is the first server of the
        test, unless another is named.
        """
        server = server or self._brokers[0]

        def settled() -> bool:
            ended = {*self.ledger.counts("done"), *self.ledger.counts("failed")}
            if not ended >= set(self.ledger.counts("acknowledged")):
                ended |= set(Census.of(server.client).dead)
            return ended >= set(self.ledger.counts("acknowledged")) and not Census.of(server.client).owned

        happens_within(settled, timeout)
        return self.verdict(Census.of(server.client))

    def verdict(self, census: Census) -> Verdict:
        """The verdict now, kept for the report of the run."""
        verdict = Verdict.of(self.ledger, census)
        self._note(f"{verdict} [{census}]")
        return verdict
