"""Outcomes of workflows in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import JsonValue
from sqlalchemy import select

from infrastructure.database.models import ResultRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from infrastructure.database.upsert import put_new

__all__ = ["SqlResults"]


class SqlResults:
    """Fulfils :class:`core.data.ports.Results`."""

    def __init__(self, unit: SqlUnitOfWork) -> None:
        self._unit = unit

    def keep(self, workflow_id: str, outcome: Mapping[str, JsonValue]) -> tuple[Mapping[str, JsonValue], datetime]:
        """See :meth:`core.data.ports.Results.keep`."""
        session = self._unit.session
        put_new(session, ResultRow, workflow_id=workflow_id, outcome=dict(outcome), saved=datetime.now(UTC))
        kept = session.scalars(select(ResultRow).where(ResultRow.workflow_id == workflow_id)).one()
        return kept.outcome, kept.saved
