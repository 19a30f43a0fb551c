"""Tasks that remove what is not needed any more."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from celeriac import Retry, TaskController, exponential, task
from core.errors import UnavailableError
from core.maintenance.entities import ExpiredCounts, OldCounts
from core.maintenance.expired import ExpiredDataService
from core.maintenance.old import OldDataService

__all__ = ["ExpiredDataCleaned", "MaintenanceTaskController", "OldDataCleaned"]

_RETRY = Retry(on=UnavailableError, max_retries=5, backoff=exponential(10))


class ExpiredDataCleaned(TypedDict):
    """What was removed, or would have been."""

    dry_run: bool
    removed: ExpiredCounts


class OldDataCleaned(TypedDict):
    """What was removed, or would have been."""

    dry_run: bool
    removed: OldCounts


class MaintenanceTaskController(TaskController):
    """Cleaning up, safe to run twice and to be killed at any time."""

    def __init__(self, expired: ExpiredDataService, old: OldDataService) -> None:
        self._expired = expired
        self._old = old

    @task("cleanup_expired_data", retry=_RETRY)
    def cleanup_expired_data(self, *, dry_run: bool = False) -> ExpiredDataCleaned:
        """Remove exports whose time is over, and files that killed attempts left behind."""
        return {"dry_run": dry_run, "removed": self._expired.remove(dry_run=dry_run)}

    @task("cleanup_old_data", queue="low_priority", retry=_RETRY)
    def cleanup_old_data(
        self, older_than_days: Annotated[int, Field(ge=1, le=36_500)] = 90, *, dry_run: bool = False
    ) -> OldDataCleaned:
        """Remove activities, completions, records of exports and results of workflows of former days."""
        return {"dry_run": dry_run, "removed": self._old.remove(older_than_days=older_than_days, dry_run=dry_run)}
