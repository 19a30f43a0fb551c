"""Prices, and the index that is computed from them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from infrastructure.database.models.base import Base, Exact, UtcDateTime

__all__ = ["IndexValueRow", "PriceRow"]


class PriceRow(Base):
    """What one symbol cost at the end of one day."""

    __tablename__ = "prices"

    symbol: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    close: Mapped[Decimal] = mapped_column(Exact)
    currency: Mapped[str] = mapped_column(String(3))
    fetched: Mapped[datetime] = mapped_column(UtcDateTime)


class IndexValueRow(Base):
    """What an index stood at, at the end of one day."""

    __tablename__ = "index_values"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    value: Mapped[Decimal] = mapped_column(Exact)
    members: Mapped[int] = mapped_column(Integer)
    """Symbols that counted on that day."""
    computed: Mapped[datetime] = mapped_column(UtcDateTime)
