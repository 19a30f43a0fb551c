"""Accounts: the use case, where users are kept, and what follows a change."""

from __future__ import annotations

from core.accounts.activities import ActivityService
from core.accounts.ports import Activities, FollowUps, Users
from core.accounts.service import AccountService
from delivery.tasks.follow_ups import AccountFollowUps
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.accounts import SqlUsers
from infrastructure.database.activities import SqlActivities
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork
from ioc.punq_container import Container
from ioc.registration import Lifetime

__all__ = ["register_accounts"]


def register_accounts(container: Container) -> None:
    """Register the use case and its ports: they share a unit of work, so they live as long as it does."""
    container.register(AccountService, lifetime=Lifetime.SCOPED)
    container.register(Users, SqlUsers, lifetime=Lifetime.SCOPED)
    container.register(ActivityService, lifetime=Lifetime.SCOPED)
    container.register(Activities, SqlActivities, lifetime=Lifetime.SCOPED)
    container.register(FollowUps, _follow_ups, lifetime=Lifetime.SCOPED)


def _follow_ups(tasks: TasksRegistry, unit: AsyncSqlUnitOfWork) -> FollowUps:
    return AccountFollowUps(tasks, unit)
