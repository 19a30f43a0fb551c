"""Prices from a real server, which answers well and badly."""

from __future__ import annotations

import gzip
from collections.abc import Generator
from datetime import date

import pytest
from pydantic import SecretStr
from tests.kit.price_server import Answer, PriceServer

from core.market.entities import Quote, Span
from core.market.errors import (
    InvalidPricesError,
    PricesUnavailableError,
    SourceRefusedError,
    UnknownSymbolError,
)
from infrastructure.market_data.http_prices import HttpPrices

JANUARY = Span(date(2026, 1, 1), date(2026, 1, 31))
SHORT = 0.2
"""Seconds, where an answer is going to take longer."""


@pytest.fixture
def server() -> Generator[PriceServer]:
    with PriceServer({"A": {"2026-01-05": "12.30", "2026-01-06": "12.40"}, "B/1 %": {"2026-01-05": "1"}}) as server:
        yield server


@pytest.fixture
def prices(server: PriceServer) -> Generator[HttpPrices]:
    prices = HttpPrices(server.url, wait=0.01)
    yield prices
    prices.close()


def read(prices: HttpPrices, symbol: str = "A") -> list[Quote]:
    return list(prices.quotes(symbol, JANUARY))


def test_a_server_is_asked_for_a_symbol_and_its_days(server, prices):
    first, second = read(prices)
    assert (first.symbol, first.day, f"{first.close}", first.currency) == ("A", date(2026, 1, 5), "12.30", "EUR")
    assert first.origin == server.url.partition("/{")[0] + "/A, item 1"
    assert second.origin.endswith("/A, item 2")
    assert server.asked == ["/A?from=2026-01-01&to=2026-01-31"]


def test_a_symbol_is_encoded_for_the_url(server, prices):
    assert len(read(prices, "B/1 %")) == 1
    assert server.asked == ["/B%2F1%20%25?from=2026-01-01&to=2026-01-31"]


def test_numbers_of_json_keep_all_their_digits(server, prices):
    server.next.append(Answer('[{"day": "2026-01-05", "close": 0.12345678901234567890, "currency": "EUR"}]'))
    assert f"{read(prices)[0].close}" == "0.12345678901234567890"


def test_csv_does_as_well(server, prices):
    server.next.append(Answer("day,close,currency\r\n2026-01-05,7,EUR\r\n", kind="text/csv; charset=utf-8"))
    (quote,) = read(prices)
    assert quote.close == 7
    assert quote.origin.endswith("/A, line 2")


def test_whoever_has_a_token_is_let_in(server):
    server.token = "geheim"
    prices = HttpPrices(server.url, token=SecretStr("geheim"))
    assert len(read(prices)) == 2
    prices.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_has_no_time_is_asked_again(server, prices, status):
    server.next += [Answer(status=status), Answer(status=status, headers={"Retry-After": "0"})]
    assert len(read(prices)) == 2
    assert len(server.asked) == 3


def test_it_is_asked_three_times_and_then_the_task_may_try_later(server, prices):
    server.next += [Answer(status=500)] * 9
    with pytest.raises(PricesUnavailableError, match=r"/A answered 500$"):
        read(prices)
    assert len(server.asked) == 3


def test_who_asks_for_much_patience_is_not_asked_again_within_the_attempt(server, prices):
    server.next.append(Answer(status=429, headers={"Retry-After": "120"}))
    with pytest.raises(PricesUnavailableError) as busy:
        read(prices)
    assert busy.value.retry_after == 120
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answer", [Answer(pause=3 * SHORT), Answer("[" + " " * 100 + "]", drip=0.02)], ids=["silent", "dripping"]
)
def test_an_answer_that_takes_too_long_is_given_up(server, answer):
    server.next += [answer] * 3
    prices = HttpPrices(server.url, timeout=SHORT, wait=0.01)
    with pytest.raises(PricesUnavailableError, match=r"/A (did not answer within|took more than) 0.2 s"):
        read(prices)
    prices.close()


def test_a_server_that_is_not_there_is_worth_another_attempt(server):
    url = server.url
    server.__exit__(None, None, None)
    prices = HttpPrices(url, wait=0.01)
    with pytest.raises(PricesUnavailableError, match=r"could not be asked: .*Connection refused"):
        read(prices)
    prices.close()


def test_an_answer_that_breaks_off_is_worth_another_attempt(server, prices):
    server.next += [Answer("[{", length=1000)] * 3
    with pytest.raises(PricesUnavailableError, match="could not be asked"):
        read(prices)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer(status=404), UnknownSymbolError, "/A knows no A: it answered 404"),
        (Answer(status=401), SourceRefusedError, "/A answered 401: look at MARKET_SOURCE and MARKET_TOKEN"),
        (Answer(status=302, headers={"Location": "/B"}), SourceRefusedError, "/A answered 302"),
        (Answer("<html>"), InvalidPricesError, "/A gave neither JSON nor said that it is text/csv"),
        (Answer("", status=204), InvalidPricesError, "/A gave neither JSON nor said that it is text/csv"),
        (Answer("[" * 100_000), InvalidPricesError, "/A gave neither JSON nor said that it is text/csv"),
        (Answer('{"error": "no"}'), InvalidPricesError, "/A gave no list of prices, but dict"),
        (Answer("[7]"), InvalidPricesError, "/A, item 1 is no object with day, close and currency"),
        (
            Answer('[{"day": "2026-01-05", "close": true, "currency": "EUR"}]'),
            InvalidPricesError,
            "the close of A is True",
        ),
        (Answer('[{"close": 1, "currency": "EUR"}]'), InvalidPricesError, "item 1: the day of A is missing, where"),
        (Answer(b"\xff\xfe", kind="text/csv"), InvalidPricesError, "/A gave no CSV text in UTF-8"),
        (Answer("", kind="text/csv"), InvalidPricesError, "/A is empty"),
        (
            Answer(b"no gzip", headers={"Content-Encoding": "gzip"}),
            InvalidPricesError,
            "/A gave an answer that cannot be unpacked",
        ),
        (
            Answer(gzip.compress(bytes(17 * 1024 * 1024)), headers={"Content-Encoding": "gzip"}),
            InvalidPricesError,
            "/A gave more than 16777216 bytes for one symbol",
        ),
    ],
)
def test_what_will_not_become_better_is_refused_at_once(server, prices, answer, error, said):
    server.next.append(answer)
    with pytest.raises(error) as refused:
        read(prices)
    assert said in str(refused.value)
    assert len(server.asked) == 1


def test_no_secret_of_the_url_is_shown(server):
    prices = HttpPrices(server.url.replace("http://", "http://user:geheim@") + "&key=geheim", wait=0.01)
    server.next.append(Answer(status=403))
    with pytest.raises(SourceRefusedError) as refused:
        read(prices)
    assert "geheim" not in str(refused.value)
    prices.close()


def test_a_server_cannot_be_asked_for_its_symbols(prices):
    with pytest.raises(SourceRefusedError, match="name them in MARKET_SYMBOLS"):
        prices.symbols()
