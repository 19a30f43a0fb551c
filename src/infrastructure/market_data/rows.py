"""Quotes out of rows of text, whatever brought them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from core.market.entities import Quote
from core.market.errors import InvalidPricesError

__all__ = ["COLUMNS", "Row", "quote_of", "rows_of"]

COLUMNS: Final = ("day", "close", "currency")
"""What each row has to say; a file of several symbols also says ``symbol``."""
_SHOWN: Final = 40


class Row(NamedTuple):
    """What a source says of one symbol and day, and where."""

    cells: Mapping[str, object]
    origin: str


def rows_of(lines: Iterable[str], name: str, columns: Sequence[str] = COLUMNS) -> Iterator[Row]:
    """The rows of CSV text whose first line names the columns, in any order and among others.

    Raises:
        InvalidPricesError: it is empty, lacks a column, or a row has too few cells or too many.
    """
    reader = csv.reader(lines, strict=True)
    try:
        if not (first := next(reader, None)):
            msg = f"{name} is empty: its first line has to name the columns"
            raise InvalidPricesError(msg)
        head = [cell.strip().lower() for cell in first]
        if lacking := [column for column in columns if column not in head]:
            msg = f"{name} has no column {' and no '.join(lacking)}: its first line has to name the columns"
            raise InvalidPricesError(msg)
        for cells in reader:
            origin = f"{name}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(head):
                msg = f"{origin} has {len(cells)} cells for {len(head)} columns: it may have been cut off"
                raise InvalidPricesError(msg)
            yield Row(dict(zip(head, cells, strict=True)), origin)
    except (csv.Error, UnicodeDecodeError) as error:
        msg = f"{name} is no CSV text in UTF-8 after line {reader.line_num}: {error}"
        raise InvalidPricesError(msg) from error


def quote_of(symbol: str, row: Row) -> Quote:
    """The quote that a row tells.

    Raises:
        InvalidPricesError: it lacks something, its day is none, or its close is no number.
    """
    day, close, currency = (row.cells.get(column) for column in COLUMNS)
    if not isinstance(currency, str) or not currency.strip():
        raise _wrong(symbol, row, "currency", currency, "a code such as EUR")
    return Quote(symbol, _day(symbol, row, day), _close(symbol, row, close), currency.strip(), row.origin)


def _day(symbol: str, row: Row, said: object) -> date:
    try:
        return date.fromisoformat(said.strip() if isinstance(said, str) else "")
    except ValueError:
        raise _wrong(symbol, row, "day", said, "a day such as 2026-01-31") from None


def _close(symbol: str, row: Row, said: object) -> Decimal:
    if isinstance(said, str | int | Decimal) and not isinstance(said, bool):
        try:
            return Decimal(said)
        except InvalidOperation:
            pass
    raise _wrong(symbol, row, "close", said, "a number such as 12.34")


def _wrong(symbol: str, row: Row, column: str, said: object, wanted: str) -> InvalidPricesError:
    shown = "missing" if said is None else repr(said)[:_SHOWN]
    return InvalidPricesError(f"{row.origin}: the {column} of {symbol} is {shown}, where {wanted} is wanted")
