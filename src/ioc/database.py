"""The database: pools for the process, and a unit of work for each task or request."""

from __future__ import annotations

from core.configs.settings import DatabaseSettings, Environment, Settings
from core.transactions import AsyncUnitOfWork, UnitOfWork
from infrastructure.database.async_database import AsyncDatabase
from infrastructure.database.database import Database
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork, SqlUnitOfWork
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["migrate", "register_database"]


def register_database(container: Container) -> None:
    """Register the database. It connects at first use, and a forked process has one of its own.

    A repository asks for the unit of work that is SQLAlchemy's, a use case for the port: within a scope, both are given
    the same one.
    """
    container.register(Database, _database, lifetime=Lifetime.SINGLETON)
    container.register(AsyncDatabase, lifetime=Lifetime.SINGLETON)
    # The scope enters whatever can be entered, unless it is told how to close it: these a use case enters.
    container.register(SqlUnitOfWork, lifetime=Lifetime.SCOPED, close=SqlUnitOfWork.close)
    container.register(UnitOfWork, _unit, lifetime=Lifetime.SCOPED, close=_leave)
    container.register(AsyncSqlUnitOfWork, lifetime=Lifetime.SCOPED)
    container.register(AsyncUnitOfWork, _async_unit, lifetime=Lifetime.SCOPED)


def migrate() -> str:
    """Bring the tables of ``DATABASE_URL`` up to date, and say which version they have.

    Raises:
        DatabaseUnavailableError: the variable is not set, or the database is away.
        celeriac.exceptions.HistoryUnavailable: its URL cannot be used.
    """
    from infrastructure.database.schema import MIGRATIONS  # noqa: PLC0415  loads much that nobody else needs

    database = Database(DatabaseSettings().database_url, production=False)
    try:
        return f"the tables are at version {MIGRATIONS.current(database.engine)} of {MIGRATIONS.newest()}"
    finally:
        database.close()


def _database(settings: Settings) -> Database:
    url = settings.database_settings.url(settings.environment)
    return Database(url, production=settings.environment is Environment.PRODUCTION)


def _unit(unit: SqlUnitOfWork) -> UnitOfWork:
    return unit


def _leave(unit: UnitOfWork) -> None:
    """Nothing: the same object is closed under its other name."""
    del unit


def _async_unit(unit: AsyncSqlUnitOfWork) -> AsyncUnitOfWork:
    return unit
