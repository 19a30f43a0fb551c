"""The worker is killed while it refreshes prices or computes the index: both are finished once, and whole."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest
from sqlalchemy import select
from tests.faults.harness.household import Household
from tests.faults.harness.waiting import until
from tests.kit.price_server import PriceServer

from celeriac import TaskState
from infrastructure.database.models import IndexValueRow, PriceRow

WAIT = 60
PRICES = {symbol: {f"2026-01-{day:02}": "50" for day in range(5, 10)} for symbol in "ABC"}


@pytest.fixture
def source() -> Generator[PriceServer]:
    with PriceServer(PRICES) as source:
        yield source


@pytest.fixture
def house(scenario, server, source) -> Generator[Household]:
    env = {"MARKET_SOURCE": source.url, "MARKET_SYMBOLS": "A,B,C", "MARKET_START": "2026-01-05"}
    with Household(scenario, server.url, env) as house:
        yield house


def stored(house: Household) -> dict[str, int]:
    with house.database.reading() as session:
        found = list(session.scalars(select(PriceRow.symbol)))
    return {symbol: found.count(symbol) for symbol in sorted(set(found))}


def test_kill_9_between_two_symbols_keeps_the_first_whole_and_fetches_the_others_once(house, source):
    asked, killed = threading.Event(), threading.Event()

    def hold(symbol: str) -> None:
        if symbol == "B" and not killed.is_set():
            asked.set()
            killed.wait(WAIT)

    source.before = hold
    result = house.registry.refresh_market_data.delay("full")
    assert asked.wait(WAIT)
    assert stored(house) == {"A": 5}
    house.worker.kill_group()
    killed.set()
    assert result.get(timeout=WAIT) == {"status": "success"}
    assert stored(house) == {"A": 5, "B": 5, "C": 5}


def test_kill_9_while_the_index_is_written_leaves_one_whole_index(house):
    house.registry.refresh_market_data.delay().get(timeout=WAIT)
    with house.nobody_else_writes():
        result = house.registry.compute_index.delay()
        until(lambda: result.state is TaskState.STARTED, timeout=WAIT)
        house.worker.kill_group()
    assert result.get(timeout=WAIT)["days"] == 5
    with house.database.reading() as session:
        rows = session.scalars(select(IndexValueRow)).all()
    assert sorted(row.day.day for row in rows) == [5, 6, 7, 8, 9]
    assert len({row.computed for row in rows}) == 1, "all of one run"
