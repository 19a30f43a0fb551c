"""Prices in CSV files."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.market.entities import Quote, Span
from core.market.errors import InvalidPricesError, SourceRefusedError, UnknownSymbolError
from infrastructure.market_data.rows import COLUMNS, Row, quote_of, rows_of

__all__ = ["CsvPrices"]


class CsvPrices:
    """Fulfils :class:`core.market.ports.PriceSource`.

    Args:
        path: a file with the columns ``symbol``, ``day``, ``close`` and ``currency``, or a directory with a file of the
            columns ``day``, ``close`` and ``currency`` for each symbol, such as ``ACME.csv``. Each file is read
            once, and what it says is kept as long as this object.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, list[Row]] | None = None
        self._quotes: dict[str, list[Quote]] = {}

    def symbols(self) -> Sequence[str]:
        """See :meth:`core.market.ports.PriceSource.symbols`."""
        if self._path.is_dir():
            return sorted(path.stem for path in self._path.glob("*.csv"))
        return sorted(self._of_file())

    def quotes(self, symbol: str, span: Span) -> Iterator[Quote]:
        """See :meth:`core.market.ports.PriceSource.quotes`."""
        if symbol not in self._quotes:
            self._quotes[symbol] = [quote_of(symbol, row) for row in self._rows_of(symbol)]
        return (quote for quote in self._quotes[symbol] if quote.day in span)

    def _rows_of(self, symbol: str) -> Sequence[Row]:
        if symbol not in self.symbols():  # so a name with / or .. in it never becomes a path
            msg = f"{self._path} has no prices of {symbol}: it has those of {', '.join(self.symbols()) or 'nobody'}"
            raise UnknownSymbolError(msg)
        if not self._path.is_dir():
            return self._of_file()[symbol]
        with _opened(self._path / f"{symbol}.csv") as lines:
            return list(rows_of(lines, f"{symbol}.csv"))

    def _of_file(self) -> dict[str, list[Row]]:
        if self._rows is None:
            found: dict[str, list[Row]] = {}
            with _opened(self._path) as lines:
                for row in rows_of(lines, self._path.name, ("symbol", *COLUMNS)):
                    if not (symbol := str(row.cells["symbol"]).strip()):
                        msg = f"{row.origin} names no symbol"
                        raise InvalidPricesError(msg)
                    found.setdefault(symbol, []).append(row)
            self._rows = found
        return self._rows


@contextmanager
def _opened(path: Path) -> Generator[Iterator[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; MARKET_SOURCE names a CSV file or a directory of such files"
        raise SourceRefusedError(msg) from error
