"""Which prices are let in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from core.market.entities import MarketTerms, Quote
from core.market.errors import ContradictingPricesError, InvalidPricesError

__all__ = ["EXACT", "checked"]

EXACT: Final = Decimal("1e-8")
"""Prices and index values are kept to this, half a unit to the even side."""
_LIMIT: Final = Decimal("1e12")
_LONGEST_SYMBOL: Final = 32


def checked(quotes: Iterable[Quote], terms: MarketTerms) -> list[Quote]:
    """The quotes, one for each symbol and day, by day. The same one twice is one.

    Raises:
        ContradictingPricesError: two of them say different things.
        InvalidPricesError: one is no amount of money, or of another currency.
    """
    found: dict[tuple[str, date], Quote] = {}
    for quote in quotes:
        one = _sound(quote, terms)
        other = found.setdefault((one.symbol, one.day), one)
        if other != one:
            msg = (
                f"two prices of {one.symbol} on {one.day}: {other.close} ({other.origin}) and {one.close}"
                f" ({one.origin}); let the source give one of them"
            )
            raise ContradictingPricesError(msg)
    return sorted(found.values(), key=lambda quote: quote.day)


def _sound(quote: Quote, terms: MarketTerms) -> Quote:
    if not quote.symbol:
        msg = f"{quote.origin}: a price of {quote.close} on {quote.day} without a symbol"
        raise InvalidPricesError(msg)
    if len(quote.symbol) > _LONGEST_SYMBOL:
        msg = (
            f"{quote.origin}: the symbol {quote.symbol[:_LONGEST_SYMBOL]}... has more than {_LONGEST_SYMBOL} characters"
        )
        raise InvalidPricesError(msg)
    what = f"{quote.origin}: the close of {quote.symbol} on {quote.day} is {quote.close}"
    if not quote.close.is_finite() or not 0 < quote.close < _LIMIT:
        msg = f"{what}, which is no price: it has to be more than 0 and less than {_LIMIT:f}"
        raise InvalidPricesError(msg)
    if quote.currency != terms.currency:
        msg = (
            f"{what} {quote.currency}, but this market is in {terms.currency}: let the source convert it,"
            " or change MARKET_CURRENCY"
        )
        raise InvalidPricesError(msg)
    close = quote.close.quantize(EXACT)
    if not close:
        msg = f"{what}, which is less than can be kept: prices have 8 decimals"
        raise InvalidPricesError(msg)
    return replace(quote, close=close)
