"""Exports that users asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from infrastructure.database.models.base import Base, UtcDateTime

__all__ = ["ExportRow"]


class ExportRow(Base):
    """One file with everything of one user."""

    __tablename__ = "exports"
    __table_args__ = (Index("ix_exports_removed_expires", "removed", "expires"),)

    task_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    format: Mapped[str] = mapped_column(String(16))
    file_path: Mapped[str] = mapped_column(String(1024))
    rows: Mapped[int] = mapped_column(BigInteger)
    """Activities in it."""
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime] = mapped_column(UtcDateTime)
    removed: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the file was; until then it is there."""
