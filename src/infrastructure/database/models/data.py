"""What workflows over data came to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from infrastructure.database.models.base import Base, UtcDateTime

__all__ = ["ResultRow"]


class ResultRow(Base):
    """The outcome of one workflow."""

    __tablename__ = "results"

    workflow_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    """The id of the task that the workflow began with."""
    outcome: Mapped[dict[str, Any]] = mapped_column(JSON)
    saved: Mapped[datetime] = mapped_column(UtcDateTime)
