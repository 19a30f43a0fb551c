"""Exports: what is known of a user, in a file."""

from __future__ import annotations

from datetime import timedelta

from core.configs.settings import Settings
from core.exports.ports import ExportFiles, Exports, ProgressBoard, UserData
from core.exports.service import ExportService
from core.transactions import UnitOfWork
from infrastructure.database.exports import SqlExports, SqlUserData
from infrastructure.exports.local_files import LocalExportFiles
from infrastructure.redis.progress import RedisProgressBoard
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_exports"]


def register_exports(container: Container) -> None:
    """Register exports: the record in the task's unit of work, the rest for the whole process."""
    container.register(ExportFiles, _files, lifetime=Lifetime.SINGLETON)
    container.register(ProgressBoard, RedisProgressBoard, lifetime=Lifetime.SINGLETON)
    container.register(UserData, SqlUserData, lifetime=Lifetime.SINGLETON)
    container.register(Exports, SqlExports, lifetime=Lifetime.SCOPED)
    container.register(ExportService, _service, lifetime=Lifetime.SCOPED)


def _files(settings: Settings) -> ExportFiles:
    return LocalExportFiles(settings.exports_settings.directory)


def _service(
    *, settings: Settings, unit: UnitOfWork, data: UserData, files: ExportFiles, exports: Exports, board: ProgressBoard
) -> ExportService:
    lifetime = timedelta(seconds=settings.exports_settings.lifetime)
    return ExportService(unit, data, files, exports, board, lifetime=lifetime)
