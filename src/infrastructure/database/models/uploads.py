"""Files that were uploaded."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from infrastructure.database.models.base import Base, UtcDateTime

__all__ = ["UploadRow"]


class UploadRow(Base):
    """One file, processed."""

    __tablename__ = "uploads"

    file_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    media_type: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    location: Mapped[str] = mapped_column(String(1024))
    """Where it is in the store."""
    processed: Mapped[datetime] = mapped_column(UtcDateTime)
