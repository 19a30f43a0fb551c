"""Reports: what is counted, and where it is noted."""

from __future__ import annotations

from core.reports.ports import Reports, Statistics
from core.reports.service import ReportService
from infrastructure.database.reports import SqlReports, SqlStatistics
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_reports"]


def register_reports(container: Container) -> None:
    """Register reports, all of it in the task's unit of work."""
    container.register(Statistics, SqlStatistics, lifetime=Lifetime.SCOPED)
    container.register(Reports, SqlReports, lifetime=Lifetime.SCOPED)
    container.register(ReportService, lifetime=Lifetime.SCOPED)
