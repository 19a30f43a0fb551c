"""Prices and the index in real databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal

import pytest
from pydantic import SecretStr
from sqlalchemy import func, make_url, select
from tests.faults.harness.proxy import TcpProxy

from core.market.entities import IndexValue, MarketTerms, Quote, Span
from core.market.service import MarketService, Mode
from core.transactions import DatabaseUnavailableError
from infrastructure.database.database import Database
from infrastructure.database.market import SqlIndexValues, SqlPrices
from infrastructure.database.models import IndexValueRow, PriceRow
from infrastructure.database.unit_of_work import SqlUnitOfWork

START = date(2026, 1, 5)
TODAY = START + timedelta(days=6)


def quote(symbol: str, after: int, close: str = "12.345") -> Quote:
    return Quote(symbol, START + timedelta(days=after), Decimal(close), "EUR")


class Source:
    """Prices of two symbols on four days; ``before`` each of them, something may happen."""

    def __init__(self) -> None:
        self.close = "40"

    def symbols(self) -> Sequence[str]:
        return ["A", "B"]

    def quotes(self, symbol: str, span: Span) -> Iterator[Quote]:
        self.before(symbol)
        return (quote(symbol, after, self.close) for after in range(4))

    def before(self, symbol: str) -> None:
        del symbol


def service(database: Database, source: Source) -> MarketService:
    unit = SqlUnitOfWork(database)
    terms = MarketTerms(currency="EUR", start=START)
    return MarketService(source, SqlPrices(unit), SqlIndexValues(unit), unit, terms)


def refresh(database: Database, source: Source, mode: Mode = "smart") -> int:
    return service(database, source).refresh(mode, lambda *_, **__: None, today=TODAY)


def stored(database: Database) -> dict[str, int]:
    with database.reading() as session:
        rows = session.execute(select(PriceRow.symbol, func.count()).group_by(PriceRow.symbol))
        return {row[0]: row[1] for row in rows}


def test_prices_are_kept_to_the_last_digit_and_replaced_by_day(unit):
    prices = SqlPrices(unit)
    exact = ["12345678901.12345678", "0.00000001", "7"]
    with unit:
        prices.put([quote("A", after, close) for after, close in enumerate(exact)])
        prices.put([quote("A", 2, "8"), quote("B", 4)])
    with unit:
        assert [one.close for one in prices.since(START, ["A"])] == [Decimal(text) for text in [*exact[:2], "8"]]
        assert prices.days("A") == {START + timedelta(days=after) for after in (0, 1, 2)}
        assert prices.trading_days() == {START + timedelta(days=after) for after in (0, 1, 2, 4)}


def test_prices_come_by_day_and_symbol_from_a_day_on(unit):
    prices = SqlPrices(unit)
    with unit:
        prices.put([quote(symbol, after) for symbol in "BA" for after in range(3)])
    with unit:
        found = [(one.symbol, (one.day - START).days) for one in prices.since(START + timedelta(days=1), [])]
        assert found == [("A", 1), ("B", 1), ("A", 2), ("B", 2)]
        prices.remove("A")
        assert prices.days("A") == set()
        assert len(prices.days("B")) == 3


def test_more_prices_than_one_statement_takes_are_stored_together(unit):
    prices = SqlPrices(unit)
    with unit:
        prices.put([quote("A", after) for after in range(2_600)])
    with unit:
        assert sum(1 for _ in prices.since(START, [])) == 2_600


def test_an_index_is_replaced_whole_and_no_other(database, unit):
    values = SqlIndexValues(unit)
    days = [START + timedelta(days=after) for after in range(3)]
    with unit:
        values.replace("market", [IndexValue(day, Decimal(100), 2) for day in days])
        values.replace("other", [IndexValue(START, Decimal(1), 1)])
    with unit:
        values.replace("market", [IndexValue(day, Decimal("100.12345678"), 1) for day in days[:2]])
    with database.reading() as session:
        rows = session.execute(select(IndexValueRow).order_by(IndexValueRow.name, IndexValueRow.day)).scalars().all()
    assert [(row.name, row.day, f"{row.value:.8f}", row.members) for row in rows] == [
        ("market", days[0], "100.12345678", 1),
        ("market", days[1], "100.12345678", 1),
        ("other", START, "1.00000000", 1),
    ]


def test_a_refresh_and_an_index_over_it_are_the_same_however_often_they_run(database):
    source = Source()
    for stored_now in (8, 0, 0):
        assert refresh(database, source) == stored_now
        assert [one.value for one in service(database, source).compute_index()] == [Decimal(100)] * 4
    assert stored(database) == {"A": 4, "B": 4}
    source.close = "44"
    assert refresh(database, source) == 0, "what is known is not fetched again"
    assert refresh(database, source, "full") == 8
    assert stored(database) == {"A": 4, "B": 4}
    assert service(database, source).compute_index()[-1].value == Decimal(100)
    with database.reading() as session:
        assert set(session.scalars(select(PriceRow.close))) == {Decimal(44)}
        assert session.scalar(select(func.count()).select_from(IndexValueRow)) == 4


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("database")
def test_a_database_that_goes_away_keeps_whole_symbols_and_the_next_attempt_adds_the_rest(url):
    address = make_url(url)
    with TcpProxy(address.port or 5432) as proxy:
        through = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        database = Database(SecretStr(through), production=False)

        class Cut(Source):
            def before(self, symbol: str) -> None:
                if symbol == "B":
                    proxy.refuse()
                    proxy.reset()

        with pytest.raises(DatabaseUnavailableError):
            refresh(database, Cut())
        proxy.mend()
        assert stored(database) == {"A": 4}
        assert refresh(database, Source()) == 4
        assert stored(database) == {"A": 4, "B": 4}
        database.close()


def test_refreshes_at_the_same_time_do_not_get_in_each_others_way(database):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda mode: refresh(database, Source(), mode), ("full", "smart") * 4))
    assert stored(database) == {"A": 4, "B": 4}
