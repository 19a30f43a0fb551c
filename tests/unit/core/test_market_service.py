"""Refreshing and computing, over a source and a store in memory."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import Self

import pytest

from core.market.entities import IndexValue, MarketTerms, Quote, Span
from core.market.errors import (
    ContradictingPricesError,
    InvalidPricesError,
    PricesUnavailableError,
    UnknownSymbolError,
)
from core.market.service import INDEX, MarketService, Mode

TODAY = date(2026, 1, 9)


def quote(symbol: str, day: int, close: str = "10", currency: str = "EUR", origin: str = "") -> Quote:
    return Quote(symbol, date(2026, 1, day), Decimal(close), currency, origin or f"{symbol}, line {day}")


class Source:
    """What it was asked for, and what it gives: quotes, or an error in their place."""

    def __init__(self, *given: Quote | Exception, only: Exception | None = None) -> None:
        self.given: list[Quote | Exception] = list(given)
        self.away = only
        self.asked: list[tuple[str, int, int]] = []

    def symbols(self) -> Sequence[str]:
        return sorted({one.symbol for one in self.given if isinstance(one, Quote)})

    def quotes(self, symbol: str, span: Span) -> Iterator[Quote]:
        self.asked.append((symbol, span.first.day, span.last.day))
        for one in self.given:
            if isinstance(one, Exception):
                raise one
            if one.symbol == symbol:
                yield one
        if self.away is not None and symbol == self.symbols()[-1]:
            raise self.away


class Store:
    """A unit of work over two dictionaries; what leaves with an exception is undone."""

    def __init__(self, *quotes: Quote) -> None:
        self.stored = {(one.symbol, one.day): one for one in quotes}
        self.index: dict[str, Sequence[IndexValue]] = {}
        self._before: dict[tuple[str, date], Quote] = {}

    def __enter__(self) -> Self:
        self._before = copy.copy(self.stored)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        if error is not None:
            self.stored = self._before

    def days(self, symbol: str) -> set[date]:
        return {day for one, day in self.stored if one == symbol}

    def trading_days(self) -> set[date]:
        return {day for _, day in self.stored}

    def put(self, quotes: Sequence[Quote]) -> None:
        self.stored |= {(one.symbol, one.day): one for one in quotes}

    def remove(self, symbol: str) -> None:
        self.stored = {key: one for key, one in self.stored.items() if key[0] != symbol}

    def since(self, first: date, symbols: Sequence[str]) -> Iterator[Quote]:
        ordered = sorted(self.stored.values(), key=lambda one: (one.day, one.symbol))
        return (one for one in ordered if one.day >= first and (not symbols or one.symbol in symbols))

    def replace(self, name: str, values: Sequence[IndexValue]) -> None:
        self.index[name] = values

    @property
    def prices(self) -> dict[str, str]:
        return {f"{symbol}{day.day}": f"{one.close.normalize():f}" for (symbol, day), one in self.stored.items()}


class Reports(list[str]):
    def __call__(self, current: int, total: int, /, *, status: str) -> None:
        self.append(f"{current}/{total} {status}")


def service(source: Source, store: Store, symbols: Iterable[str] = (), start: int = 5) -> MarketService:
    terms = MarketTerms(currency="EUR", start=date(2026, 1, start), symbols=tuple(symbols))
    return MarketService(source, store, store, store, terms)


def refresh(source: Source, store: Store, mode: Mode = "smart", symbols: Iterable[str] = ()) -> tuple[int, Reports]:
    reports = Reports()
    return service(source, store, symbols).refresh(mode, reports, today=TODAY), reports


def test_a_first_refresh_fetches_all_days_of_all_symbols():
    source, store = Source(quote("A", 5), quote("A", 6), quote("B", 5, "2.50")), Store()
    assert refresh(source, store) == (3, ["1/2 Refreshed A", "2/2 Refreshed B"])
    assert source.asked == [("A", 5, 9), ("B", 5, 9)]
    assert store.prices == {"A5": "10", "A6": "10", "B5": "2.5"}


def test_a_smart_refresh_asks_for_what_is_missing_alone():
    store = Store(quote("A", 5), quote("A", 6), quote("A", 7), quote("B", 5), quote("B", 7))
    source = Source(quote("A", 5, "99"), quote("A", 8), quote("B", 6))
    assert refresh(source, store)[0] == 2
    assert source.asked == [("A", 8, 9), ("B", 6, 6), ("B", 8, 9)]
    assert store.prices == {"A5": "10", "A6": "10", "A7": "10", "A8": "10", "B5": "10", "B6": "10", "B7": "10"}


def test_a_second_refresh_changes_nothing():
    source, store = Source(quote("A", 5), quote("A", 8), quote("B", 9)), Store()
    refresh(source, store)
    before = dict(store.stored)
    assert refresh(source, store)[0] == 0
    assert store.stored == before


def test_a_full_refresh_puts_what_the_source_has_in_place_of_all():
    store = Store(quote("A", 5), quote("A", 6), quote("B", 5))
    assert refresh(Source(quote("A", 5, "11")), store, "full", ["A"])[0] == 1
    assert store.prices == {"A5": "11", "B5": "10"}


@pytest.mark.parametrize(("mode", "stored"), [("smart", ()), ("full", (quote("A", 5),))])
def test_a_symbol_without_any_price_is_refused_and_deletes_nothing(mode, stored):
    store = Store(*stored)
    with pytest.raises(UnknownSymbolError, match="the source has no price of A from 2026-01-05 to 2026-01-09"):
        refresh(Source(quote("B", 5)), store, mode, ["A"])
    assert list(store.stored.values()) == list(stored)


def test_a_source_without_any_symbol_is_no_success():
    with pytest.raises(UnknownSymbolError, match="the source has no symbol at all"):
        refresh(Source(), Store())


def test_days_that_were_not_asked_for_are_left_out():
    store = Store()
    refresh(Source(quote("A", 1), quote("A", 5), quote("A", 30)), store)
    assert store.prices == {"A5": "10"}


def test_the_same_price_twice_is_one():
    store = Store()
    assert refresh(Source(quote("A", 5, "10"), quote("A", 5, "10.00", origin="elsewhere")), store)[0] == 1


def test_two_different_prices_of_one_day_are_named_both():
    with pytest.raises(ContradictingPricesError) as refused:
        refresh(
            Source(quote("A", 5, "10", origin="x.csv, line 2"), quote("A", 5, "11", origin="x.csv, line 9")), Store()
        )
    assert str(refused.value) == (
        "two prices of A on 2026-01-05: 10.00000000 (x.csv, line 2) and 11.00000000 (x.csv, line 9);"
        " let the source give one of them"
    )


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (quote("A", 6, "NaN"), "A, line 6: the close of A on 2026-01-06 is NaN, which is no price"),
        (quote("A", 6, "sNaN"), "is sNaN, which is no price"),
        (quote("A", 6, "Infinity"), "is Infinity, which is no price"),
        (quote("A", 6, "-1"), "is -1, which is no price: it has to be more than 0 and less than 1000000000000"),
        (quote("A", 6, "0"), "is 0, which is no price"),
        (quote("A", 6, "1e12"), "which is no price"),
        (quote("A", 6, "1e-9"), "which is less than can be kept"),
        (quote("A", 6, "1", "USD"), "is 1 USD, but this market is in EUR"),
    ],
)
def test_a_bad_price_refuses_its_symbol_whole_and_no_other(bad, said):
    store = Store()
    with pytest.raises(InvalidPricesError) as refused:
        refresh(Source(quote("A", 5), bad, quote("A", 7), quote("B", 5)), store)
    assert said in str(refused.value)
    assert store.prices == {"B5": "10"}


def test_a_symbol_that_is_too_long_to_be_kept_is_refused():
    with pytest.raises(InvalidPricesError, match="has more than 32 characters"):
        refresh(Source(quote("A" * 33, 5)), Store())


def test_a_price_without_a_symbol_is_refused():
    store = Store()
    with pytest.raises(InvalidPricesError, match="line 5: a price of 10 on 2026-01-05 without a symbol"):
        refresh(Source(quote("", 5), quote("B", 5)), store)
    assert store.prices == {"B5": "10"}


def test_several_bad_symbols_are_named_together():
    source, store = Source(quote("A", 5, "NaN"), quote("B", 5, "0"), quote("C", 5)), Store()
    reports = Reports()
    with pytest.raises(InvalidPricesError, match=r"^2 of 3 symbols were not refreshed: A, line 5: .*; B, line 5: "):
        service(source, store).refresh("smart", reports, today=TODAY)
    assert reports == ["1/3 Refused A", "2/3 Refused B", "3/3 Refreshed C"]
    assert store.prices == {"C5": "10"}


def test_a_source_that_goes_away_ends_the_refresh_and_what_was_stored_stays():
    store = Store()
    source = Source(quote("A", 5), quote("B", 5), only=PricesUnavailableError("away"))
    with pytest.raises(PricesUnavailableError):
        refresh(source, store)
    assert store.prices == {"A5": "10"}
    source.away = None
    refresh(source, store)
    assert store.prices == {"A5": "10", "B5": "10"}
    assert source.asked[2:] == [("A", 6, 9), ("B", 5, 9)]


def test_the_index_is_computed_from_what_is_stored_and_replaces_the_last_one():
    store = Store(quote("A", 5, "40"), quote("B", 5, "60"), quote("A", 6, "41"), quote("A", 1, "7"))
    market = service(Source(), store)
    once, again = market.compute_index(), market.compute_index()
    assert [f"{one.day.day}: {one.value:.0f}" for one in once] == ["5: 100", "6: 101"]
    assert once == again
    assert store.index == {INDEX: again}
    assert [one.value for one in market.compute_index(base_day=date(2026, 1, 6))] == [100]


def test_only_symbols_of_the_market_count():
    store = Store(quote("A", 5, "40"), quote("B", 5, "60"), quote("A", 6, "41"))
    assert service(Source(), store, ["A"]).compute_index()[-1].value == Decimal("102.5")


def test_stored_prices_of_another_currency_are_refused():
    store = Store(quote("A", 5, "40", "USD"))
    with pytest.raises(InvalidPricesError, match="the stored price of A on 2026-01-05 is in USD"):
        service(Source(), store).compute_index()
    assert store.index == {}
