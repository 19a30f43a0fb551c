"""What users did, written down for their exports and for reports."""

from __future__ import annotations

from collections.abc import Iterable

from core.accounts.ports import Activities, Deed
from core.transactions import AsyncUnitOfWork

__all__ = ["ActivityService"]


class ActivityService:
    """Notes what users did.

    Args:
        unit: the transaction that they are noted in.
        activities: where they are kept.
    """

    def __init__(self, unit: AsyncUnitOfWork, activities: Activities) -> None:
        self._unit = unit
        self._activities = activities

    async def record(self, user_id: int, deeds: Iterable[Deed]) -> None:
        """Note what a user did just now, all of it or none.

        Raises:
            UnknownUserError: there is no such user.
            DatabaseUnavailableError: the database is away.
        """
        async with self._unit:
            await self._activities.add(user_id, deeds)
