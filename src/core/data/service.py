"""Working through data, item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

__all__ = ["DataService", "ReportProgress"]

logger = structlog.get_logger(__name__)


class ReportProgress(Protocol):
    """Told after each item how many of how many are done."""

    def __call__(self, current: int, total: int, /) -> None:
        """Take note of it."""
        ...


class DataService:
    """Goes through items and finds those with something missing."""

    def process(self, items: Sequence[JsonValue], report: ReportProgress) -> int:
        """Go through the items, report after each, and return how many there were."""
        total = len(items)
        incomplete = 0
        for done, item in enumerate(items, start=1):
            incomplete += self._is_incomplete(item)
            report(done, total)
        logger.info("data processed", items=total, incomplete=incomplete)
        return total

    @staticmethod
    def _is_incomplete(item: JsonValue) -> bool:
        values = item.values() if isinstance(item, dict) else [item]
        return any(value is None or value == "" for value in values)
