"""Prices out of real CSV files, good and bad."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.market.entities import Quote, Span
from core.market.errors import InvalidPricesError, SourceRefusedError, UnknownSymbolError
from infrastructure.market_data.absent import AbsentPrices
from infrastructure.market_data.csv_prices import CsvPrices
from infrastructure.market_data.sample import SAMPLE

JANUARY = Span(date(2026, 1, 1), date(2026, 1, 31))
HEAD = "symbol,day,close,currency\n"


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(path: Path, symbol: str = "A") -> list[Quote]:
    return list(CsvPrices(path).quotes(symbol, JANUARY))


def test_a_file_holds_the_prices_of_many_symbols(tmp_path):
    path = written(
        tmp_path / "prices.csv",
        "\ufeffSymbol,Volume, Day,Close,Currency\r\nB,1,2026-01-05,7,EUR\r\n\r\n A ,2,2026-01-06, 12.30 ,EUR\r\n"
        "A,3,2026-02-01,13,EUR\r\n",
    )
    prices = CsvPrices(path)
    assert list(prices.symbols()) == ["A", "B"]
    (quote,) = prices.quotes("A", JANUARY)
    assert quote == Quote("A", date(2026, 1, 6), Decimal("12.30"), "EUR")
    assert quote.origin == "prices.csv, line 4"


def test_a_directory_holds_a_file_for_each_symbol(tmp_path):
    written(tmp_path / "B.B.csv", "day,close,currency\n2026-01-05,7,EUR\n")
    written(tmp_path / "A.csv", "close,currency,day\n8,EUR,2026-01-05\n")
    written(tmp_path / "notes.txt", "nothing")
    prices = CsvPrices(tmp_path)
    assert list(prices.symbols()) == ["A", "B.B"]
    assert [quote.close for quote in prices.quotes("B.B", JANUARY)] == [7]


@pytest.mark.parametrize("symbol", ["C", "../A", "/etc/passwd", "."])
def test_an_unknown_symbol_is_named_with_those_that_are_there(tmp_path, symbol):
    directory = tmp_path / "prices"
    directory.mkdir()
    written(directory / "B.csv", "day,close,currency\n")
    written(tmp_path / "A.csv", "day,close,currency\n2026-01-05,7,EUR\n")
    with pytest.raises(UnknownSymbolError) as refused:
        read(directory, symbol)
    assert str(refused.value) == f"{directory} has no prices of {symbol}: it has those of B"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "prices.csv is empty: its first line has to name the columns"),
        ("day,close\n", "prices.csv has no column symbol and no currency: its first line has to name the columns"),
        (
            HEAD + "A,2026-01-05,7,EUR\nA,2026-01-0",
            "prices.csv, line 3 has 2 cells for 4 columns: it may have been cut",
        ),
        (HEAD + "A,2026-01-05,7,EUR,x\n", "prices.csv, line 2 has 5 cells for 4 columns"),
        (HEAD + 'A,2026-01-05,"7,EUR\n', "prices.csv is no CSV text in UTF-8 after line"),
        (HEAD.encode() + b"A,2026-01-05,7,\xff\n", "prices.csv is no CSV text in UTF-8 after line"),
        (
            HEAD + "A,05.01.2026,7,EUR\n",
            "line 2: the day of A is '05.01.2026', where a day such as 2026-01-31 is wanted",
        ),
        (HEAD + "A,2026-02-30,7,EUR\n", "line 2: the day of A is '2026-02-30'"),
        (
            HEAD + "A,2026-01-05,seven,EUR\n",
            "line 2: the close of A is 'seven', where a number such as 12.34 is wanted",
        ),
        (HEAD + "A,2026-01-05,,EUR\n", "line 2: the close of A is '', where a number"),
        (HEAD + "A,2026-01-05,7,\n", "line 2: the currency of A is '', where a code such as EUR is wanted"),
        (HEAD + "A,2026-01-05,7,EUR\n ,2026-01-06,7,EUR\n", "prices.csv, line 3 names no symbol"),
        (HEAD + f"A,2026-01-05,{'9' * 500}x,EUR\n", "the close of A is '" + "9" * 39 + ", where"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path, text, said):
    with pytest.raises(InvalidPricesError) as refused:
        read(written(tmp_path / "prices.csv", text))
    assert said in str(refused.value)


def test_a_bad_row_of_one_symbol_is_no_matter_of_another(tmp_path):
    path = written(tmp_path / "prices.csv", HEAD + "A,2026-01-05,seven,EUR\nB,2026-01-05,7,EUR\n")
    assert [quote.close for quote in read(path, "B")] == [7]


@pytest.mark.parametrize("close", ["NaN", "-1", "0", "inf"])
def test_whether_a_number_is_a_price_is_not_decided_here(tmp_path, close):
    (quote,) = read(written(tmp_path / "prices.csv", f"{HEAD}A,2026-01-05,{close},EUR\n"))
    assert f"{quote.close}".lower().startswith(close.lower())


def test_a_path_that_leads_nowhere_is_a_setting_to_change(tmp_path):
    with pytest.raises(SourceRefusedError, match=r"none\.csv cannot be read: No such file or directory; MARKET_SOURCE"):
        read(tmp_path / "none.csv")


def test_the_sample_can_be_read():
    prices = CsvPrices(SAMPLE)
    assert {symbol: len(list(prices.quotes(symbol, JANUARY))) for symbol in prices.symbols()} == {
        "ARBOR": 20,
        "BRIAR": 20,
        "CEDAR": 14,
    }


def test_without_a_source_there_are_no_prices():
    absent = AbsentPrices()
    for ask in (absent.symbols, lambda: absent.quotes("A", JANUARY)):
        with pytest.raises(SourceRefusedError, match="MARKET_SOURCE names no CSV file"):
            ask()
