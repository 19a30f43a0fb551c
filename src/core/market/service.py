"""Keeping prices up to date, and computing the index over them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final, Literal

import structlog

from core.errors import RefusedError
from core.market.checking import checked
from core.market.entities import IndexValue, MarketTerms, Quote, Span
from core.market.errors import InvalidPricesError, UnknownSymbolError
from core.market.index import price_weighted
from core.market.missing import missing
from core.market.ports import IndexValues, Prices, PriceSource, ReportProgress
from core.transactions import UnitOfWork

__all__ = ["INDEX", "MarketService", "Mode"]

logger = structlog.get_logger(__name__)

Mode = Literal["smart", "full"]
INDEX: Final = "market"
"""What the index over all symbols is called."""


class MarketService:
    """Brings prices from their source to the database, and computes from those alone.

    Each symbol is a transaction of its own: its new prices are stored together, or not at all.
    """

    def __init__(
        self, source: PriceSource, prices: Prices, index_values: IndexValues, unit: UnitOfWork, terms: MarketTerms
    ) -> None:
        self._source = source
        self._prices = prices
        self._index_values = index_values
        self._unit = unit
        self._terms = terms

    def refresh(self, mode: Mode, report: ReportProgress, *, today: date | None = None) -> int:
        """Fetch prices and store them; gives how many.

        One symbol whose prices cannot be used does not stop the others: they are stored, and then the refresh fails and
        names it. A source that is away ends the refresh at once, as the next symbol would fare no better; what was
        stored stays, and the next attempt goes on from there.

        Args:
            mode: ``smart`` asks for the missing days, ``full`` for all of them, and replaces what is stored.
            report: told after each symbol.
            today: the last day that counts; the one that it is in UTC if not said.

        Raises:
            PricesUnavailableError: the source does not answer.
            DatabaseUnavailableError: the database does not.
            RefusedError: the prices of some symbols cannot be used; those of the others are stored.
        """
        whole = Span(self._terms.start, today or datetime.now(UTC).date())
        symbols = tuple(dict.fromkeys(self._terms.symbols or self._source.symbols()))
        if not symbols:
            msg = "the source has no symbol at all: look at MARKET_SOURCE"
            raise UnknownSymbolError(msg)
        with self._unit:
            trading_days = self._prices.trading_days()
        refused: dict[str, RefusedError] = {}
        stored = 0
        for done, symbol in enumerate(symbols, start=1):
            try:
                stored += self._refresh(symbol, mode, whole, trading_days)
            except RefusedError as error:
                logger.warning("prices refused", symbol=symbol, error=str(error))
                refused[symbol] = error
            report(done, len(symbols), status=f"Refreshed {symbol}" if symbol not in refused else f"Refused {symbol}")
        logger.info("market data refreshed", mode=mode, symbols=len(symbols), prices=stored, refused=sorted(refused))
        if refused:
            raise _together(refused, len(symbols))
        return stored

    def compute_index(self, *, base_day: date | None = None) -> list[IndexValue]:
        """Compute the index from the stored prices, store it in place of the last one, and give it.

        See :func:`core.market.index.price_weighted` for the method.

        Args:
            base_day: where the index is 100; the first day with a price if not said.

        Raises:
            NoPricesError: no price is stored that it could begin with.
            BrokenChainError: at some day all symbols lack prices.
            InvalidPricesError: stored prices are of another currency.
            DatabaseUnavailableError: the database does not answer.
        """
        with self._unit:
            quotes = self._of_one_currency(self._prices.since(self._terms.start, self._terms.symbols))
            values = price_weighted(quotes, staleness=self._terms.staleness, base_day=base_day)
            self._index_values.replace(INDEX, values)
        logger.info("index computed", days=len(values), day=str(values[-1].day), value=str(values[-1].value))
        return values

    def _refresh(self, symbol: str, mode: Mode, whole: Span, trading_days: set[date]) -> int:
        with self._unit:
            known = self._prices.days(symbol)
        spans = missing(known, trading_days, whole) if mode == "smart" else [whole]
        # The source may take its time: no transaction is open meanwhile.
        quotes = checked(self._within(symbol, spans), self._terms)
        if not quotes and (mode == "full" or not known):
            msg = f"the source has no price of {symbol} from {whole}: look at how it is written, and at MARKET_START"
            raise UnknownSymbolError(msg)
        with self._unit:
            if mode == "full":
                self._prices.remove(symbol)
            self._prices.put(quotes)
        return len(quotes)

    def _within(self, symbol: str, spans: list[Span]) -> Iterator[Quote]:
        for span in spans:
            yield from (quote for quote in self._source.quotes(symbol, span) if quote.day in span)

    def _of_one_currency(self, quotes: Iterator[Quote]) -> Iterator[Quote]:
        for quote in quotes:
            if quote.currency != self._terms.currency:
                msg = (
                    f"the stored price of {quote.symbol} on {quote.day} is in {quote.currency}, but this market is in"
                    f" {self._terms.currency}: refresh_market_data with mode='full' replaces it"
                )
                raise InvalidPricesError(msg)
            yield quote


def _together(refused: dict[str, RefusedError], symbols: int) -> RefusedError:
    """One error for all symbols that were refused."""
    if len(refused) == 1:
        return next(iter(refused.values()))
    reasons = "; ".join(dict.fromkeys(str(error) for error in refused.values()))
    return InvalidPricesError(f"{len(refused)} of {symbols} symbols were not refreshed: {reasons}")
