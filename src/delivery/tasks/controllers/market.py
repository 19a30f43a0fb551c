"""Tasks about prices of a market."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from typing_extensions import TypedDict

from celeriac import Retry, TaskContext, TaskController, Unique, task
from core.errors import UnavailableError
from core.market.service import MarketService

__all__ = ["IndexComputed", "MarketRefreshed", "MarketTaskController"]


class MarketRefreshed(TypedDict):
    """The prices are up to date."""

    status: Literal["success"]


class IndexComputed(TypedDict):
    """The index is stored, for each day up to the last one."""

    status: Literal["success"]
    base_day: date
    days: int
    last_day: date
    value: Decimal
    members: int


_REFRESHED: MarketRefreshed = {"status": "success"}
_ONE = Unique()
"""Who asks for what beat began a moment ago gets that one's result: see docs/how-to/flow-control.md."""
_LATER = Retry(on=UnavailableError, max_retries=3, backoff=60)


class MarketTaskController(TaskController):
    """Prices first, then the index over them: ``refresh_market_data.s().then(compute_index)``."""

    def __init__(self, market: MarketService, context: TaskContext) -> None:
        self._market = market
        self._context = context

    @task("refresh_market_data", queue="high_priority", retry=_LATER, unique=_ONE)
    def refresh_market_data(self, mode: Literal["smart", "full"] = "smart") -> MarketRefreshed:
        """Fetch prices and store them: those that are missing, or with ``full`` all of them anew."""
        self._context.progress(status="Starting...")
        self._market.refresh(mode, self._context.progress)
        return _REFRESHED

    @task("compute_index", queue="high_priority", retry=_LATER, unique=_ONE)
    def compute_index(self, refreshed: MarketRefreshed = _REFRESHED, *, base_day: date | None = None) -> IndexComputed:
        """Compute the index from the stored prices; ``base_day`` is where it is 100, the first day unless said."""
        del refreshed  # what a chain hands on: that there is something to compute from
        values = self._market.compute_index(base_day=base_day)
        first, last = values[0], values[-1]
        return {
            "status": "success",
            "base_day": first.day,
            "days": len(values),
            "last_day": last.day,
            "value": last.value,
            "members": last.members,
        }
