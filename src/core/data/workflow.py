"""The two ends of a workflow over data: where it comes from, and where its outcome stays."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from pydantic import JsonValue

from core.data.entities import Saved
from core.data.errors import ContradictingOutcomeError
from core.data.ports import Results, Tables
from core.transactions import UnitOfWork

__all__ = ["DataWorkflow"]

logger = structlog.get_logger(__name__)


class DataWorkflow:
    """Reads tables by name, and keeps outcomes by workflow."""

    def __init__(self, tables: Tables, results: Results, unit: UnitOfWork) -> None:
        self._tables = tables
        self._results = results
        self._unit = unit

    def fetch(self, source: str) -> list[JsonValue]:
        """The rows of the table of that name.

        Raises:
            UnknownTableError: there is none of that name.
            TableTooLargeError: it has more bytes than is allowed.
            UnreadableTableError: it cannot be read as a table.
        """
        rows = self._tables.read(source)
        logger.info("table fetched", source=source, rows=len(rows))
        return [{**row} for row in rows]

    def save(self, workflow_id: str, outcome: Mapping[str, JsonValue]) -> Saved:
        """Keep the outcome of a workflow. The same again changes nothing, so a step that runs twice does no harm.

        Raises:
            ContradictingOutcomeError: the workflow has another outcome already, which stays.
            DatabaseUnavailableError: the database does not answer.
        """
        with self._unit:
            kept, since = self._results.keep(workflow_id, outcome)
        if dict(kept) != dict(outcome):
            msg = (
                f"the workflow {workflow_id} came to {dict(outcome)}, but {dict(kept)} is kept since {since}:"
                " one workflow saves one outcome"
            )
            raise ContradictingOutcomeError(msg)
        return Saved(workflow_id, since)
