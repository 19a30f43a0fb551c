"""Working through data, item by item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog
from pydantic import JsonValue

from core.data.entities import Examined, Summary

__all__ = ["DataService", "ReportProgress"]

logger = structlog.get_logger(__name__)


class ReportProgress(Protocol):
    """Told after each item how many of how many are done."""

    def __call__(self, current: int, total: int, /) -> None:
        """Take note of it."""
        ...


class DataService:
    """Goes through items and finds those with something missing. It needs nothing from outside."""

    def process(self, items: Sequence[JsonValue], report: ReportProgress) -> int:
        """Go through the items, report after each, and return how many there were."""
        total = len(items)
        incomplete = 0
        for done, item in enumerate(items, start=1):
            incomplete += bool(self.examine(item).missing)
            report(done, total)
        logger.info("data processed", items=total, incomplete=incomplete)
        return total

    def examine(self, item: JsonValue) -> Examined:
        """What is missing in one item: of a row by the names of its columns, of anything else as ``value``."""
        values = item if isinstance(item, dict) else {"value": item}
        return Examined(len(values), tuple(name for name, value in values.items() if value is None or value == ""))

    def summarise(self, found: Iterable[Examined]) -> Summary:
        """What was found in all items together."""
        every = list(found)
        missing = Counter(name for one in every for name in one.missing)
        return Summary(len(every), sum(not one.missing for one in every), dict(missing.most_common()))
