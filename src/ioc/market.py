"""The market: prices, where they come from, and the index over them."""

from __future__ import annotations

from pathlib import Path

from core.configs.settings import Environment, Settings
from core.market.entities import MarketTerms
from core.market.ports import IndexValues, Prices, PriceSource
from core.market.service import MarketService
from infrastructure.database.market import SqlIndexValues, SqlPrices
from infrastructure.market_data.absent import AbsentPrices
from infrastructure.market_data.csv_prices import CsvPrices
from infrastructure.market_data.sample import SAMPLE
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_market"]


def register_market(container: Container) -> None:
    """Register the market. What is stored belongs to the task's unit of work, and so does what a source has read."""
    container.register(PriceSource, _source, lifetime=Lifetime.SCOPED)
    container.register(Prices, SqlPrices, lifetime=Lifetime.SCOPED)
    container.register(IndexValues, SqlIndexValues, lifetime=Lifetime.SCOPED)
    container.register(MarketTerms, _terms, lifetime=Lifetime.SINGLETON, fork_safe=True)
    container.register(MarketService, lifetime=Lifetime.SCOPED)


def _source(settings: Settings) -> PriceSource:
    said = settings.market_settings
    if said.source is None:
        return AbsentPrices() if settings.environment is Environment.PRODUCTION else CsvPrices(SAMPLE)
    if "://" in said.source:
        from infrastructure.market_data.http_prices import HttpPrices  # noqa: PLC0415  loads much, and files need none

        return HttpPrices(said.source, token=said.token, timeout=said.timeout)
    return CsvPrices(Path(said.source))


def _terms(settings: Settings) -> MarketTerms:
    said = settings.market_settings
    return MarketTerms(currency=said.currency, start=said.start, symbols=said.symbols, staleness=said.staleness)
