"""Data: tables to read, and working through items."""

from __future__ import annotations

from core.data.ports import TableReader
from core.data.service import DataService
from infrastructure.files.csv_tables import CsvTableReader
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_data"]


def register_data(container: Container) -> None:
    """Register what reads data and what works through it."""
    container.register(DataService, lifetime=Lifetime.SINGLETON)
    container.register(TableReader, CsvTableReader, lifetime=Lifetime.SINGLETON)
