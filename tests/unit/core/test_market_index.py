"""The index, against cases that were computed by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.market.entities import Quote
from core.market.errors import BrokenChainError, NoPricesError
from core.market.index import price_weighted


def quotes(table: dict[int, dict[str, str]]) -> list[Quote]:
    """Days of January 2026, each with its closes."""
    return [
        Quote(symbol, date(2026, 1, day), Decimal(close), "EUR")
        for day, closes in table.items()
        for symbol, close in closes.items()
    ]


def values(table: dict[int, dict[str, str]], *, staleness: int = 5) -> dict[int, tuple[str, int]]:
    computed = price_weighted(quotes(table), staleness=staleness)
    return {one.day.day: (f"{one.value.normalize():f}", one.members) for one in computed}


def test_the_index_is_the_sum_of_prices_by_a_divisor_that_makes_it_100_on_the_base_day():
    # Day 5: 40 + 60 = 100, so the divisor is 100 / 100 = 1.     Day 6: 44 + 61 = 105; 105 / 1 = 105.
    # Day 7: 42 + 57 = 99; 99 / 1 = 99.
    table = {5: {"A": "40", "B": "60"}, 6: {"A": "44", "B": "61"}, 7: {"A": "42", "B": "57"}}
    assert values(table) == {5: ("100", 2), 6: ("105", 2), 7: ("99", 2)}


def test_a_symbol_that_joins_changes_the_divisor_and_not_the_index():
    # Day 5: 40 + 60 = 100, divisor 1.
    # Day 6: A and B make 44 + 61 = 105; 105 / 1 = 105. C has a price and joins after the close: the divisor becomes
    #        1 * (44 + 61 + 45) / (44 + 61) = 150 / 105 = 10/7, and 150 / (10/7) = 105 as before.
    # Day 7: 44 + 61 + 60 = 165; 165 / (10/7) = 115.5.
    table = {
        5: {"A": "40", "B": "60"},
        6: {"A": "44", "B": "61", "C": "45"},
        7: {"A": "44", "B": "61", "C": "60"},
    }
    assert values(table) == {5: ("100", 2), 6: ("105", 2), 7: ("115.5", 3)}


def test_a_missing_price_is_carried_forward_and_then_its_symbol_leaves():
    # A price stands for 2 days.
    # Day 5: 40 + 60 = 100, divisor 1.    Days 6 and 7: B stands at 60; A at 44 makes 104, at 45 makes 105.
    # Day 8: B's price is 3 days old: B leaves at the prices of day 7, and the divisor becomes
    #        1 * 45 / (45 + 60) = 3/7; A at 48 makes 48 / (3/7) = 112.
    # Day 9: B is back with 80, but joins only after the close: 54 / (3/7) = 126.
    #        Then the divisor becomes 3/7 * (54 + 80) / 54 = 67/63.
    # Day 10: 54 + 147 = 201; 201 / (67/63) = 189.
    table = {
        5: {"A": "40", "B": "60"},
        6: {"A": "44"},
        7: {"A": "45"},
        8: {"A": "48"},
        9: {"A": "54", "B": "80"},
        10: {"A": "54", "B": "147"},
    }
    assert values(table, staleness=2) == {
        5: ("100", 2),
        6: ("104", 2),
        7: ("105", 2),
        8: ("112", 1),
        9: ("126", 1),
        10: ("189", 2),
    }


def test_days_on_which_nobody_has_a_price_make_no_gap():
    # From day 5 to day 30 the market was closed: whoever has a price on day 30 is still a member. 50 + 60 = 110.
    table = {5: {"A": "40", "B": "60"}, 30: {"A": "50", "B": "60"}}
    assert values(table, staleness=2) == {5: ("100", 2), 30: ("110", 2)}


def test_a_base_day_begins_with_those_whose_prices_still_stand():
    # On day 7 A has 50, and B stands at 50 of day 6; C's price is too old. Divisor (50 + 50) / 100 = 1.
    table = {3: {"C": "7"}, 6: {"B": "50"}, 7: {"A": "50"}, 8: {"A": "51", "B": "52"}}
    computed = price_weighted(quotes(table), staleness=2, base_day=date(2026, 1, 7))
    assert [f"{one.day.day}: {one.value:.2f} of {one.members}" for one in computed] == [
        "7: 100.00 of 2",
        "8: 103.00 of 2",
    ]


def test_values_are_rounded_to_eight_decimals_half_to_the_even_side():
    # 100 * 1 / 3 = 33.333..., and 100 * 2 / 3 = 66.666...
    assert values({5: {"A": "3"}, 6: {"A": "1"}, 7: {"A": "2"}})[6] == ("33.33333333", 1)
    assert values({5: {"A": "3"}, 6: {"A": "1"}, 7: {"A": "2"}})[7] == ("66.66666667", 1)


def test_without_a_symbol_in_common_the_index_cannot_go_on():
    table = {5: {"A": "40", "B": "2"}, 9: {"C": "1"}}
    with pytest.raises(BrokenChainError) as broken:
        values(table, staleness=2)
    assert str(broken.value) == (
        "the index cannot go on from 2026-01-05 to 2026-01-09: none of A, B has a price of the last 2 days;"
        " get the missing prices, or raise MARKET_STALENESS"
    )


@pytest.mark.parametrize(
    ("table", "base_day", "said"),
    [
        ({}, None, "no prices are stored that an index could begin with: run refresh_market_data first"),
        ({}, 5, "no price is stored for the base day 2026-01-05"),
        ({4: {"A": "1"}}, 5, "no price is stored for the base day 2026-01-05"),
        (
            {4: {"A": "1"}, 6: {"A": "1"}},
            5,
            "no price is stored for the base day 2026-01-05: the next one is of 2026-01-06",
        ),
    ],
)
def test_without_prices_to_begin_with_there_is_no_index(table, base_day, said):
    with pytest.raises(NoPricesError) as none:
        price_weighted(quotes(table), staleness=5, base_day=base_day and date(2026, 1, base_day))
    assert str(none.value) == said


TABLES = st.dictionaries(
    st.integers(1, 31),
    st.dictionaries(st.sampled_from("ABCD"), st.integers(1, 10**6).map(str), min_size=1),
    min_size=1,
    max_size=8,
).map(lambda table: {day: table[day] for day in sorted(table)})


@given(TABLES)
def test_whatever_the_prices_the_index_moves_by_those_who_were_there_on_both_days(table):
    """On each day: the sum of the members' prices today, by what the same symbols cost the day before."""
    computed = price_weighted(quotes(table), staleness=31)
    last: dict[str, Decimal] = {}
    before = Decimal(0)
    for one in computed:
        closes = {symbol: Decimal(close) for symbol, close in table[one.day.day].items()}
        if last:
            assert one.members == len(last)
            moved = sum((closes.get(symbol, last[symbol]) for symbol in last), Decimal(0)) / sum(last.values())
            assert abs(one.value - before * moved) <= Decimal("1e-7") * (1 + moved)
        before, last = one.value, last | closes
    assert computed[0].value == 100


@given(TABLES, st.sampled_from(["0.01", "3", "1000"]))
def test_the_unit_of_money_does_not_matter(table, factor):
    scaled = [Quote(one.symbol, one.day, one.close * Decimal(factor), one.currency) for one in quotes(table)]
    assert price_weighted(scaled, staleness=31) == price_weighted(quotes(table), staleness=31)
