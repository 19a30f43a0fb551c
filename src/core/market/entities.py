"""What a market consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

__all__ = ["IndexValue", "MarketTerms", "Quote", "Span"]


@dataclass(frozen=True, slots=True)
class Quote:
    """What one symbol cost at the end of one day."""

    symbol: str
    day: date
    close: Decimal
    currency: str
    origin: str = field(default="", compare=False)
    """Where it was read, for people: ``prices.csv, line 7``."""


@dataclass(frozen=True, slots=True)
class Span:
    """Days in a row, both ends included."""

    first: date
    last: date

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class IndexValue:
    """What the index stood at, at the end of one day."""

    day: date
    value: Decimal
    members: int
    """How many symbols it was made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketTerms:
    """What the service was told about its market."""

    currency: str
    """Three capital letters, of all prices."""
    start: date
    """The first day that counts."""
    symbols: tuple[str, ...] = ()
    """Which ones; none named means all that the source has."""
    staleness: int = 5
    """For how many days a price stands for those that have none."""
