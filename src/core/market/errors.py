"""What can be wrong with prices, and with an index over them."""

from __future__ import annotations

from core.errors import NotFoundError, RefusedError, UnavailableError

__all__ = [
    "BrokenChainError",
    "ContradictingPricesError",
    "InvalidPricesError",
    "NoPricesError",
    "PricesUnavailableError",
    "SourceRefusedError",
    "UnknownSymbolError",
]


class PricesUnavailableError(UnavailableError):
    """The source of prices does not answer, or has no time now."""

    retry_after: float | None = None
    """Seconds that it asked for, if it did."""


class SourceRefusedError(RefusedError):
    """There is no source of prices, or it does not let this service in."""


class InvalidPricesError(RefusedError):
    """What the source gave are no prices that can be used; the text says where."""


class ContradictingPricesError(InvalidPricesError):
    """The source gave two prices of one symbol for one day."""


class UnknownSymbolError(NotFoundError):
    """The source has no prices of a symbol."""


class NoPricesError(NotFoundError):
    """No prices are stored that an index could begin with."""


class BrokenChainError(RefusedError):
    """The symbols of one day and those of the next have none in common, so that an index cannot go on."""
