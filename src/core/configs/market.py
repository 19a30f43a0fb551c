"""Prices."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["MarketSettings"]

_LONGEST_SYMBOL = 32


class MarketSettings(FromEnvironment):
    """Where prices come from, and which ones."""

    model_config = SettingsConfigDict(env_prefix="MARKET_")

    source: str | None = None
    """``MARKET_SOURCE``: a CSV file, a directory of them, or a URL with ``{symbol}``, ``{first}`` and ``{last}`` in it.

    Without it, there are prices made up for tries in development, and none in production.
    """
    token: SecretStr | None = None
    """``MARKET_TOKEN``: the bearer token for such a URL. The URL itself is no place for a secret: it is logged."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10
    """``MARKET_TIMEOUT``: seconds that a server has for an answer."""
    symbols: Annotated[tuple[str, ...], NoDecode] = ()
    """``MARKET_SYMBOLS``: with commas between them; all that the source has unless said, and required for a URL."""
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "EUR"
    """``MARKET_CURRENCY``: of all prices, such as ``EUR``."""
    start: date = date(2020, 1, 1)
    """``MARKET_START``: the first day that counts."""
    staleness: Annotated[int, Field(ge=0, le=366)] = 5
    """``MARKET_STALENESS``: days of the calendar for which a price stands, where later ones are missing."""

    @field_validator("symbols", mode="before")
    @classmethod
    def _with_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _a_source_that_can_be_asked(self) -> Self:
        if any(not 0 < len(symbol) <= _LONGEST_SYMBOL for symbol in self.symbols):
            msg = f"each of MARKET_SYMBOLS has to have 1 to {_LONGEST_SYMBOL} characters"
            raise ValueError(msg)
        if self.source is None or "://" not in self.source:
            return self
        if not self.source.startswith(("http://", "https://")) or not urlsplit(self.source).hostname:
            msg = "MARKET_SOURCE is no URL of a server: write it like https://HOST/{symbol}?from={first}&to={last}"
            raise ValueError(msg)
        try:
            asked = self.source.format(symbol="", first="", last="")
        except (AttributeError, LookupError, ValueError):
            asked = self.source
        if asked == self.source or "{symbol}" not in self.source:
            msg = "MARKET_SOURCE names no {symbol}, or something beside {symbol}, {first} and {last}"
            raise ValueError(msg)
        if not self.symbols:
            msg = "MARKET_SYMBOLS is not set: a server cannot be asked which symbols it has"
            raise ValueError(msg)
        return self
