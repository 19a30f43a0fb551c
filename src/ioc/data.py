"""Data: tables to read, working through items, and keeping what came of it."""

from __future__ import annotations

from core.configs.settings import Settings
from core.data.ports import Results, TableReader, Tables
from core.data.service import DataService
from core.data.workflow import DataWorkflow
from infrastructure.database.data import SqlResults
from infrastructure.files.csv_tables import CsvTableReader
from infrastructure.files.directory import TableDirectory
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_data"]


def register_data(container: Container) -> None:
    """Register what reads data and what works through it; what is kept belongs to the task's unit of work."""
    container.register(DataService, lifetime=Lifetime.SINGLETON)
    container.register(TableReader, CsvTableReader, lifetime=Lifetime.SINGLETON)
    container.register(Tables, _tables, lifetime=Lifetime.SINGLETON)
    container.register(Results, SqlResults, lifetime=Lifetime.SCOPED)
    container.register(DataWorkflow, lifetime=Lifetime.SCOPED)


def _tables(settings: Settings, reader: TableReader) -> Tables:
    return TableDirectory(settings.data_settings.directory, settings.data_settings.max_bytes, reader)
