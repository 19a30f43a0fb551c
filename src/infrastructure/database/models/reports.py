"""Reports."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from infrastructure.database.models.base import Base, UtcDateTime

__all__ = ["ReportRow"]


class ReportRow(Base):
    """What a period looked like."""

    __tablename__ = "reports"

    kind: Mapped[str] = mapped_column(String(64), primary_key=True)
    first: Mapped[date] = mapped_column(primary_key=True)
    """The first day it tells of."""
    last: Mapped[date] = mapped_column(primary_key=True)
    """The last one, which it includes."""
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    generated: Mapped[datetime] = mapped_column(UtcDateTime)
