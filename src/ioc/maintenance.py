"""Maintenance: removing what has expired, and what is old."""

from __future__ import annotations

from core.maintenance.expired import ExpiredDataService
from core.maintenance.old import OldDataService
from core.maintenance.ports import OldData
from infrastructure.database.maintenance import SqlOldData
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_maintenance"]


def register_maintenance(container: Container) -> None:
    """Register maintenance, in the task's unit of work."""
    container.register(OldData, SqlOldData, lifetime=Lifetime.SCOPED)
    container.register(OldDataService, lifetime=Lifetime.SCOPED)
    container.register(ExpiredDataService, lifetime=Lifetime.SCOPED)
