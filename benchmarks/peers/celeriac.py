"""Celeriac: the whole service with its container, only that what answers for its health counts the tasks as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from celery import Celery

from benchmarks.peers import ledger
from benchmarks.peers.protocol import PATIENCE, Peer
from celeriac import gather
from core.configs.infrastructure import configure_infrastructure
from core.health.service import HealthService
from delivery.tasks.registry import TasksRegistry
from ioc.container import build_container

__all__ = ["PEER", "app"]


class CountingHealth(HealthService):
    """Answers, and counts what it answered."""

    def ping(self) -> Literal["pong"]:
        ledger.mark()
        return super().ping()


configure_infrastructure(service_name="bench")
_container = build_container()
_container.override(HealthService, CountingHealth)
_container.warm()
_container.seal()
app: Celery = _container.resolve(Celery)


class PEER(Peer):
    """The registry."""

    def __init__(self) -> None:
        self.tasks = _container.resolve(TasksRegistry)

    def send(self) -> None:
        self.tasks.ping.delay()

    def call(self) -> None:
        self.tasks.ping.delay().get(timeout=PATIENCE)

    def bulk(self, count: int) -> None:
        many: Any = getattr(self.tasks.ping, "enqueue_many", None)
        if many is None:
            self.single(count)
        else:
            many(() for _ in range(count))

    def group(self, count: int) -> None:
        gather(*(self.tasks.add.s(number, 1) for number in range(count))).delay().get(timeout=PATIENCE)

    def chord(self, count: int) -> None:
        numbers = gather(*(self.tasks.add.s(number, 1) for number in range(count)))
        numbers.then(self.tasks.total).delay().get(timeout=PATIENCE)

    def eta(self, count: int) -> None:
        due = datetime.now(UTC) + timedelta(hours=1)
        for _ in range(count):
            self.tasks.ping.apply_async(eta=due)
