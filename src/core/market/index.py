"""A price-weighted index.

The method is that of the Dow Jones Industrial Average: the sum of the prices by a divisor, which changes with the
symbols so that the index does not. It is written down in "Index Mathematics Methodology" by S&P Dow Jones Indices,
under "The Index Divisor" and "Price Weighted Indices".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal, localcontext
from itertools import groupby
from typing import Final

from core.market.checking import EXACT
from core.market.entities import IndexValue, Quote
from core.market.errors import BrokenChainError, NoPricesError

__all__ = ["BASE", "price_weighted"]

BASE: Final = Decimal(100)
"""What the index stands at on its base day."""
_DIGITS: Final = Context(prec=34)


def price_weighted(quotes: Iterable[Quote], *, staleness: int, base_day: date | None = None) -> list[IndexValue]:
    """The index on each day that any symbol has a price for, from the base day on, where it is 100.

    - On a day without a price of its own, a symbol stands at its last one, for at most ``staleness`` days.
    - Then it leaves: the divisor becomes ``divisor * sum without it / sum with it``, at the prices of the day before.
    - A symbol with a price that is no member joins at the end of that day, with the divisor changed in the same way. It
      counts from the next day on.

    Prices have to be adjusted for splits: nothing here tells a split from a fall.

    Args:
        quotes: by day, one for each symbol and day.
        staleness: for how many days of the calendar a price stands.
        base_day: a day with prices; the first one if not said.

    Raises:
        NoPricesError: there are none, or none for the base day.
        BrokenChainError: all members left on one day.
    """
    board = _Board(staleness)
    values: list[IndexValue] = []
    with localcontext(_DIGITS):
        for day, closes in _by_day(quotes):
            if values:
                values.append(board.turn(day, closes))
            elif base_day is None or day >= base_day:
                _expect(base_day, day)
                values.append(board.open(day, closes))
            else:
                board.see(day, closes)
    if not values:
        _expect(base_day, None)
    return values


@dataclass
class _Board:
    """The last prices, and who counts."""

    staleness: int
    prices: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    days: dict[str, date] = field(default_factory=dict[str, date])
    members: set[str] = field(default_factory=set[str])
    divisor: Decimal = Decimal(1)

    def see(self, day: date, closes: Mapping[str, Decimal]) -> None:
        self.prices |= closes
        self.days |= dict.fromkeys(closes, day)

    def open(self, day: date, closes: Mapping[str, Decimal]) -> IndexValue:
        self.see(day, closes)
        self.members = self._fresh(self.prices, day)
        self.divisor = self._sum(self.members) / BASE
        return IndexValue(day, BASE.quantize(EXACT), len(self.members))

    def turn(self, day: date, closes: Mapping[str, Decimal]) -> IndexValue:
        yesterday, before = max(self.days.values()), self.members
        staying = {symbol for symbol in before if symbol in closes} | self._fresh(before, day)
        if not staying:
            msg = (
                f"the index cannot go on from {yesterday} to {day}: none of {', '.join(sorted(before))} has a price of"
                f" the last {self.staleness} days; get the missing prices, or raise MARKET_STALENESS"
            )
            raise BrokenChainError(msg)
        self._change_to(staying)
        self.see(day, closes)
        value = IndexValue(day, (self._sum(staying) / self.divisor).quantize(EXACT), len(staying))
        self._change_to(staying | closes.keys())
        return value

    def _change_to(self, members: set[str]) -> None:
        """Other members, at the same value."""
        if members != self.members:
            self.divisor *= self._sum(members) / self._sum(self.members)
            self.members = members

    def _fresh(self, symbols: Collection[str], day: date) -> set[str]:
        return {symbol for symbol in symbols if (day - self.days[symbol]).days <= self.staleness}

    def _sum(self, symbols: Collection[str]) -> Decimal:
        return sum((self.prices[symbol] for symbol in symbols), Decimal(0))


def _by_day(quotes: Iterable[Quote]) -> Iterator[tuple[date, dict[str, Decimal]]]:
    for day, group in groupby(quotes, key=lambda quote: quote.day):
        yield day, {quote.symbol: quote.close for quote in group}


def _expect(base_day: date | None, first: date | None) -> None:
    if base_day is None and first is None:
        msg = "no prices are stored that an index could begin with: run refresh_market_data first"
        raise NoPricesError(msg)
    if base_day is not None and first != base_day:
        msg = f"no price is stored for the base day {base_day}" + (f": the next one is of {first}" if first else "")
        raise NoPricesError(msg)
