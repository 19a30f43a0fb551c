"""What the service is told about its market and its tables."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from core.configs.settings import DataSettings, MarketSettings, SettingsError

URL = "https://prices.example.com/{symbol}?from={first}&to={last}"


def test_everything_comes_from_the_environment(environ):
    environ(
        MARKET_SOURCE=URL,
        MARKET_TOKEN="geheim",
        MARKET_TIMEOUT="2.5",
        MARKET_SYMBOLS="A, B.B",
        MARKET_CURRENCY="USD",
        MARKET_START="2024-02-29",
        MARKET_STALENESS="0",
        DATA_DIRECTORY="/srv/tables",
        DATA_MAX_BYTES="7",
    )
    said = MarketSettings()
    assert (said.source, said.timeout, said.symbols) == (URL, 2.5, ("A", "B.B"))
    assert (said.currency, said.start, said.staleness) == ("USD", date(2024, 2, 29), 0)
    assert "geheim" not in repr(said)
    assert (DataSettings().directory, DataSettings().max_bytes) == (Path("/srv/tables"), 7)


def test_nothing_has_to_be_said(environ):
    said = MarketSettings()
    assert (said.source, said.symbols, said.currency, said.staleness) == (None, (), "EUR", 5)


@pytest.mark.parametrize("source", ["prices.csv", "/srv/prices", "http://localhost:8000/{symbol}"])
def test_a_source_is_a_path_or_a_url_with_a_place_for_the_symbol(environ, source):
    environ(MARKET_SOURCE=source, MARKET_SYMBOLS="A")
    assert MarketSettings().source == source


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"MARKET_SOURCE": URL}, "MARKET_SYMBOLS is not set: a server cannot be asked which symbols it has"),
        ({"MARKET_SOURCE": "ftp://host/{symbol}"}, "MARKET_SOURCE is no URL of a server: write it like https://HOST/"),
        ({"MARKET_SOURCE": "https:///{symbol}"}, "MARKET_SOURCE is no URL of a server"),
        ({"MARKET_SOURCE": "https://host/prices"}, "MARKET_SOURCE names no {symbol}"),
        ({"MARKET_SOURCE": "https://host/{symbol}/{day}"}, "or something beside {symbol}, {first} and {last}"),
        ({"MARKET_SOURCE": "https://host/{symbol"}, "MARKET_SOURCE names no {symbol}"),
        ({"MARKET_SOURCE": "https://host/{symbol.x}"}, "MARKET_SOURCE names no {symbol}"),
        ({"MARKET_SYMBOLS": "A,,B"}, "each of MARKET_SYMBOLS has to have 1 to 32 characters"),
        ({"MARKET_SYMBOLS": "A" * 33}, "each of MARKET_SYMBOLS has to have 1 to 32 characters"),
        ({"MARKET_CURRENCY": "euro"}, "MARKET_CURRENCY cannot be used"),
        ({"MARKET_START": "yesterday"}, "MARKET_START cannot be used"),
        ({"MARKET_STALENESS": "-1"}, "MARKET_STALENESS cannot be used"),
        ({"MARKET_TIMEOUT": "0"}, "MARKET_TIMEOUT cannot be used"),
        ({"MARKET_TIMEOUT": "inf"}, "MARKET_TIMEOUT cannot be used"),
    ],
)
def test_what_cannot_be_used_is_refused_at_start(environ, variables, said):
    environ(**variables)
    with pytest.raises(SettingsError) as refused:
        MarketSettings()
    assert said in str(refused.value)


def test_a_table_has_to_have_room(environ):
    environ(DATA_MAX_BYTES="0")
    with pytest.raises(SettingsError, match="DATA_MAX_BYTES cannot be used"):
        DataSettings()
