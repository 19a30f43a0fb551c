"""What users did, in the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy.exc import IntegrityError

from core.accounts.errors import UnknownUserError
from core.accounts.ports import Deed
from infrastructure.database.models import ActivityRow
from infrastructure.database.models.accounts import may_be_user
from infrastructure.database.unit_of_work import AsyncSqlUnitOfWork

__all__ = ["SqlActivities"]


class SqlActivities:
    """Fulfils :class:`core.accounts.ports.Activities`."""

    def __init__(self, unit: AsyncSqlUnitOfWork) -> None:
        self._unit = unit

    async def add(self, user_id: int, deeds: Iterable[Deed]) -> None:
        """See :meth:`core.accounts.ports.Activities.add`."""
        if not may_be_user(user_id):
            raise UnknownUserError.of(user_id)
        now = datetime.now(UTC)
        rows = [ActivityRow(user_id=user_id, at=now, kind=kind, details=dict(details)) for kind, details in deeds]
        self._unit.session.add_all(rows)
        try:
            await self._unit.session.flush()
        except IntegrityError as error:  # nothing but the user can be missing
            raise UnknownUserError.of(user_id) from error
