"""Prices and the index in the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import delete, select

from core.market.entities import IndexValue, Quote
from infrastructure.database.models import IndexValueRow, PriceRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from infrastructure.database.upsert import put_all

__all__ = ["SqlIndexValues", "SqlPrices"]

_PAGE: Final = 2_000
"""Prices that are read at a time."""


class SqlPrices:
    """Fulfils :class:`core.market.ports.Prices`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def days(self, symbol: str) -> set[date]:
        """See :meth:`core.market.ports.Prices.days`."""
        return set(self._unit.session.scalars(select(PriceRow.day).where(PriceRow.symbol == symbol)))

    def trading_days(self) -> set[date]:
        """See :meth:`core.market.ports.Prices.trading_days`."""
        return set(self._unit.session.scalars(select(PriceRow.day).distinct()))

    def put(self, quotes: Sequence[Quote]) -> None:
        """See :meth:`core.market.ports.Prices.put`."""
        now = datetime.now(UTC)
        rows = (
            {"symbol": one.symbol, "day": one.day, "close": one.close, "currency": one.currency, "fetched": now}
            for one in quotes
        )
        put_all(self._unit.session, PriceRow, rows)

    def remove(self, symbol: str) -> None:
        """See :meth:`core.market.ports.Prices.remove`."""
        self._unit.session.execute(delete(PriceRow).where(PriceRow.symbol == symbol))

    def since(self, first: date, symbols: Sequence[str]) -> Iterator[Quote]:
        """See :meth:`core.market.ports.Prices.since`."""
        columns = (PriceRow.symbol, PriceRow.day, PriceRow.close, PriceRow.currency)
        wanted = select(*columns).where(PriceRow.day >= first).order_by(PriceRow.day, PriceRow.symbol)
        if symbols:
            wanted = wanted.where(PriceRow.symbol.in_(symbols))
        for row in self._unit.session.execute(wanted.execution_options(yield_per=_PAGE)):
            yield Quote(row.symbol, row.day, row.close, row.currency, "the database")


class SqlIndexValues:
    """Fulfils :class:`core.market.ports.IndexValues`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def replace(self, name: str, values: Sequence[IndexValue]) -> None:
        """See :meth:`core.market.ports.IndexValues.replace`."""
        now = datetime.now(UTC)
        rows = (
            {"name": name, "day": one.day, "value": one.value, "members": one.members, "computed": now}
            for one in values
        )
        put_all(self._unit.session, IndexValueRow, rows)
        # All that was not just written is of days that the index no longer has.
        left = delete(IndexValueRow).where(IndexValueRow.name == name, IndexValueRow.computed != now)
        self._unit.session.execute(left)
