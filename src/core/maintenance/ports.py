"""What maintenance needs from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from core.maintenance.entities import OldRows

__all__ = ["OldData"]


class OldData(Protocol):
    """Rows of former days; used inside of a unit of work."""

    def count(self, rows: OldRows, before: datetime) -> int:
        """How many are older than that."""
        ...

    def remove(self, rows: OldRows, before: datetime, limit: int) -> int:
        """Remove so many of them at most, and say how many."""
        ...
