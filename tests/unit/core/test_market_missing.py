"""What a smart refresh asks for. 5 January 2026 is a Monday."""

from __future__ import annotations

from datetime import date

import pytest

from core.market.entities import Span
from core.market.missing import missing


def days(*numbers: int) -> set[date]:
    return {date(2026, 1, number) for number in numbers}


def asked(known: set[date], trading: set[date], until: int = 16) -> list[tuple[int, int]]:
    spans = missing(known, trading, Span(date(2026, 1, 5), date(2026, 1, until)))
    return [(span.first.day, span.last.day) for span in spans]


def test_of_a_symbol_that_is_new_everything_is_missing():
    assert asked(set(), days(5, 6, 7)) == [(5, 16)]


def test_after_the_last_known_day_all_days_are_missing():
    assert asked(days(5, 6, 7), days(5, 6, 7)) == [(8, 16)]


def test_what_is_known_up_to_today_is_not_asked_for_again():
    assert asked(days(5, 6, 7), days(5, 6, 7), until=7) == []


@pytest.mark.parametrize(
    ("known", "trading", "gaps"),
    [
        pytest.param(days(5, 9, 16), days(5, 6, 7, 8, 9, 16), [(6, 8)], id="neighbours are asked for at once"),
        pytest.param(days(5, 7, 9, 16), days(5, 6, 7, 8, 9, 16), [(6, 6), (8, 8)], id="others one by one"),
        pytest.param(days(5, 7, 16), days(5, 7, 16), [], id="a holiday, when nobody has a price, is no gap"),
        pytest.param(days(9, 12, 16), days(9, 10, 11, 12, 16), [], id="nor is a weekend, whoever has one"),
        pytest.param(days(9, 16), days(5, 6, 9, 16), [], id="nor a day before the symbol was traded"),
    ],
)
def test_a_gap_is_a_weekday_on_which_another_symbol_has_a_price(known, trading, gaps):
    assert asked(known, trading) == gaps


def test_days_before_the_start_are_not_asked_for():
    known = {date(2025, 12, 1), date(2025, 12, 3)}
    assert asked(known, known | {date(2025, 12, 2)}) == [(5, 16)]
