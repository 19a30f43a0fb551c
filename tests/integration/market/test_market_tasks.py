"""Refreshing prices and computing the index, on a real worker."""

from __future__ import annotations

import re
import threading
from datetime import date
from decimal import Decimal

import pytest
from tests.faults.harness.waiting import until
from tests.integration.market.conftest import PRICES, Market
from tests.kit.price_server import Answer

from celeriac import TaskState
from celeriac.exceptions import InvalidArguments
from core.market.errors import InvalidPricesError, NoPricesError, UnknownSymbolError

WAIT = 30
pytestmark = pytest.mark.timeout(90)


@pytest.mark.proves("S004-13")
def test_a_refresh_says_that_it_starts_and_then_that_it_succeeded(market: Market):
    asked, go_on = threading.Event(), threading.Event()

    def hold(symbol: str) -> None:
        asked.set()
        assert go_on.wait(WAIT)

    market.server.before = hold
    result = market.registry.refresh_market_data.delay()
    assert asked.wait(WAIT)
    assert (result.raw.state, result.raw.info) == ("PROGRESS", {"status": "Starting..."})
    go_on.set()
    assert result.get(timeout=WAIT) == {"status": "success"}
    assert market.prices() == {"A": 3, "B": 3}


@pytest.mark.proves("S004-13")
def test_smart_asks_for_what_is_missing_and_full_for_everything(market: Market):
    refresh = market.registry.refresh_market_data
    refresh.delay().get(timeout=WAIT)
    market.server.asked.clear()
    assert refresh.delay("smart").get(timeout=WAIT) == {"status": "success"}
    assert [path.partition("&")[0] for path in market.server.asked] == ["/A?from=2026-01-08", "/B?from=2026-01-08"]
    market.server.asked.clear()
    market.server.prices = {"A": {"2026-01-06": "50"}, "B": PRICES["B"]}
    assert refresh.delay(mode="full").get(timeout=WAIT) == {"status": "success"}
    assert [path.partition("&")[0] for path in market.server.asked] == ["/A?from=2026-01-05", "/B?from=2026-01-05"]
    assert market.prices() == {"A": 1, "B": 3}


def test_another_mode_is_refused_before_anything_is_sent(market: Market):
    with pytest.raises(InvalidArguments, match=r"refresh_market_data.* mode: Input should be 'smart' or 'full'"):
        market.registry.refresh_market_data.delay("quick")  # type: ignore[arg-type]


def test_prices_first_and_then_the_index_are_one_workflow(market: Market):
    # Day 5: 40 + 60 = 100, divisor 1. Day 6: 44 + 61 = 105. Day 7: 45 + 60 = 105.
    workflow = market.registry.refresh_market_data.s("smart").then(market.registry.compute_index)
    assert workflow.delay().get(timeout=WAIT) == {
        "status": "success",
        "base_day": date(2026, 1, 5),
        "days": 3,
        "last_day": date(2026, 1, 7),
        "value": Decimal(105),
        "members": 2,
    }
    assert market.index() == {date(2026, 1, 5): "100", date(2026, 1, 6): "105", date(2026, 1, 7): "105"}


def test_the_base_day_can_be_said(market: Market):
    market.registry.refresh_market_data.delay().get(timeout=WAIT)
    computed = market.registry.compute_index.delay(base_day=date(2026, 1, 7)).get(timeout=WAIT)
    assert (computed["days"], computed["value"]) == (1, Decimal(100))
    assert market.index() == {date(2026, 1, 7): "100"}
    with pytest.raises(
        NoPricesError, match="no price is stored for the base day 2026-01-04: the next one is of 2026-01-05"
    ):
        market.registry.compute_index.delay(base_day=date(2026, 1, 4)).get(timeout=WAIT)
    assert market.index() == {date(2026, 1, 7): "100"}


def test_an_index_over_nothing_is_refused(market: Market):
    with pytest.raises(NoPricesError, match="run refresh_market_data first"):
        market.registry.compute_index.delay().get(timeout=WAIT)


@pytest.mark.parametrize(
    ("prices", "error", "said"),
    [
        (PRICES | {"A": {"2026-01-05": "40", "2026-01-06": "NaN"}}, InvalidPricesError, "A on 2026-01-06 is NaN"),
        ({"B": PRICES["B"]}, UnknownSymbolError, "/A knows no A: it answered 404"),
        (PRICES | {"A": {}}, UnknownSymbolError, "the source has no price of A from 2026-01-05"),
    ],
)
def test_bad_prices_fail_at_once_and_leave_the_other_symbols_whole(market: Market, prices, error, said):
    market.server.prices = prices
    result = market.registry.refresh_market_data.delay()
    with pytest.raises(error, match=re.escape(said)):
        result.get(timeout=WAIT)
    assert result.state is TaskState.FAILURE
    assert market.prices() == {"B": 3}
    assert len(market.server.asked) == 2, "each symbol was asked for once"


def test_a_source_that_has_no_time_is_asked_again_later_and_no_price_is_fetched_twice(market: Market):
    market.server.before = lambda symbol: market.server.next.extend([Answer(status=429, headers={"Retry-After": "60"})])
    result = market.registry.refresh_market_data.delay()
    until(lambda: result.state is TaskState.RETRY, timeout=WAIT)
    assert market.prices() == {"A": 3}
    line = rf"refresh_market_data\[{result.id}\] retry: Retry in (\S+)s"
    assert market.worker.wait_for(line)
    found = re.search(line, market.worker.log)
    assert found is not None
    assert float(found.group(1)) == 60
    result.revoke()
