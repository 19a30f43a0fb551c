"""The service's market with a worker, over a server of prices that tests fill and disturb."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import date

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import delete, select
from tests.kit.clients import disconnect
from tests.kit.price_server import PriceServer

from celeriac.testing.worker import WorkerProcess
from core.configs.settings import DatabaseSettings, Environment, RedisSettings, Settings
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.database import Database
from infrastructure.database.models import IndexValueRow, PriceRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from ioc.container import build_container

PRICES = {
    "A": {"2026-01-05": "40", "2026-01-06": "44", "2026-01-07": "45"},
    "B": {"2026-01-05": "60", "2026-01-06": "61", "2026-01-07": "60"},
}


@dataclass
class Market:
    """What a test of the market needs."""

    registry: TasksRegistry
    server: PriceServer
    database: Database
    worker: WorkerProcess

    def prices(self) -> dict[str, int]:
        """How many are stored of each symbol."""
        with self.database.reading() as session:
            found = list(session.scalars(select(PriceRow.symbol)))
        return {symbol: found.count(symbol) for symbol in sorted(set(found))}

    def index(self) -> dict[date, str]:
        with self.database.reading() as session:
            rows = session.scalars(select(IndexValueRow).order_by(IndexValueRow.day)).all()
        return {row.day: f"{row.value.normalize():f}" for row in rows}


@pytest.fixture(scope="module")
def running(second_url: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Market]:
    """With a worker, for all tests of a module."""
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    url = f"sqlite:///{tmp_path_factory.mktemp('market') / 'service.db'}"
    settings = Settings(
        environment=Environment.TEST,
        redis_settings=RedisSettings(redis_url=SecretStr(second_url)),
        database_settings=DatabaseSettings(database_url=SecretStr(url)),
    )
    container = build_container(settings)
    with PriceServer({}) as server:
        env = {
            "DATABASE_URL": url,
            "MARKET_SOURCE": server.url,
            "MARKET_SYMBOLS": "A,B",
            "MARKET_START": "2026-01-05",
            "MARKET_STALENESS": "3",
        }
        with WorkerProcess("delivery.tasks.app", redis_url=second_url, env=env) as worker:
            yield Market(container.resolve(TasksRegistry), server, container.resolve(Database), worker)
    disconnect(container.resolve(Celery))
    container.close()


@pytest.fixture
def market(running: Market) -> Market:
    """Empty, with a source that is well."""
    running.server.prices = PRICES
    running.server.asked.clear()
    running.server.next.clear()
    running.server.before = lambda symbol: None
    with SqlUnitOfWork(running.database) as unit:
        unit.session.execute(delete(PriceRow))
        unit.session.execute(delete(IndexValueRow))
    return running
