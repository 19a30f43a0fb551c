"""Which source of prices the settings mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from core.configs.settings import Environment, MarketSettings, RedisSettings, Settings
from core.market.ports import PriceSource
from infrastructure.market_data.absent import AbsentPrices
from infrastructure.market_data.csv_prices import CsvPrices
from infrastructure.market_data.http_prices import HttpPrices
from infrastructure.market_data.sample import SAMPLE
from ioc.container import build_container


def source_of(environment: Environment, market: MarketSettings) -> PriceSource:
    redis = RedisSettings(redis_url=SecretStr("redis://localhost:1/0"))
    container = build_container(Settings(environment=environment, redis_settings=redis, market_settings=market))
    try:
        with container.scope() as scope:
            return scope.resolve(PriceSource)
    finally:
        container.close()


def test_a_path_is_read_and_a_url_is_asked():
    assert isinstance(source_of(Environment.PRODUCTION, MarketSettings(source="prices.csv")), CsvPrices)
    asked = MarketSettings(source="https://prices.example.com/{symbol}", symbols=("A",))
    assert isinstance(source_of(Environment.PRODUCTION, asked), HttpPrices)


@pytest.mark.parametrize("environment", [Environment.DEVELOPMENT, Environment.TEST])
def test_without_a_source_there_are_made_up_prices_to_try_things_with(environment):
    source = source_of(environment, MarketSettings())
    assert isinstance(source, CsvPrices)
    assert list(source.symbols()) == list(CsvPrices(Path(SAMPLE)).symbols())


def test_but_never_in_production():
    assert isinstance(source_of(Environment.PRODUCTION, MarketSettings()), AbsentPrices)
