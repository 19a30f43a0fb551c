"""Uploads: files that people send, looked at and kept."""

from __future__ import annotations

from core.uploads.inbox import InboxService
from core.uploads.ports import MediaTypes, UploadFollowUps, Uploads
from core.uploads.service import UploadService
from delivery.tasks import follow_ups
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork
from infrastructure.database.uploads import SqlUploads
from infrastructure.storage.media_types import PureMagicMediaTypes
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_uploads"]


def register_uploads(container: Container) -> None:
    """Register the use case and its ports."""
    container.register(UploadService, lifetime=Lifetime.SCOPED)
    container.register(Uploads, SqlUploads, lifetime=Lifetime.SCOPED)
    container.register(InboxService, lifetime=Lifetime.SCOPED)
    container.register(UploadFollowUps, _follow_ups, lifetime=Lifetime.SCOPED)
    container.register(MediaTypes, PureMagicMediaTypes, lifetime=Lifetime.SINGLETON)


def _follow_ups(tasks: TasksRegistry, unit: AsyncSqlUnitOfWork) -> UploadFollowUps:
    return follow_ups.UploadFollowUps(tasks, unit)
