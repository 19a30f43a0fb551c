"""What the market needs from outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Protocol

from core.market.entities import IndexValue, Quote, Span

__all__ = ["IndexValues", "PriceSource", "Prices", "ReportProgress"]


class PriceSource(Protocol):
    """Whoever knows prices at the end of days. Of a day that is not over yet it says nothing."""

    def symbols(self) -> Sequence[str]:
        """All symbols that it has.

        Raises:
            PricesUnavailableError: it does not answer.
            SourceRefusedError: it cannot tell.
            InvalidPricesError: what it gave cannot be read.
        """
        ...

    def quotes(self, symbol: str, span: Span) -> Iterator[Quote]:
        """The prices of a symbol within the span, in any order. A day without trade has none.

        Raises:
            PricesUnavailableError: it does not answer.
            SourceRefusedError: it does not let this service in.
            InvalidPricesError: what it gave cannot be read.
            UnknownSymbolError: it does not know the symbol.
        """
        ...


class Prices(Protocol):
    """The prices that are stored. Used inside of a transaction."""

    def days(self, symbol: str) -> set[date]:
        """The days that a symbol has a price for."""
        ...

    def trading_days(self) -> set[date]:
        """The days that any symbol has a price for."""
        ...

    def put(self, quotes: Sequence[Quote]) -> None:
        """Store prices, in place of those for the same symbols and days."""
        ...

    def remove(self, symbol: str) -> None:
        """Delete all prices of a symbol."""
        ...

    def since(self, first: date, symbols: Sequence[str]) -> Iterator[Quote]:
        """Prices from a day on, day by day; of all symbols if none is named."""
        ...


class IndexValues(Protocol):
    """The index as it is stored. Used inside of a transaction."""

    def replace(self, name: str, values: Sequence[IndexValue]) -> None:
        """Store these as all that there is of an index."""
        ...


class ReportProgress(Protocol):
    """Told after each symbol how many of how many are done."""

    def __call__(self, current: int, total: int, /, *, status: str) -> None:
        """Take note of it."""
        ...
