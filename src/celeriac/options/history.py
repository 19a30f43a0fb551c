"""Options of ours about the history."""

from __future__ import annotations

from pydantic import BaseModel, SecretStr

from celeriac.options.types import Count, PositiveCount, Seconds

__all__ = ["HistoryOptions"]


class HistoryOptions(BaseModel, defer_build=True):
    """What is written down of each task, where, and for how long. They stand in ``app.conf`` under the same names."""

    history_enabled: bool = False
    """Whether it is written down what happens to tasks."""

    history_database_url: SecretStr | None = None
    """The database that it is written into: SQLite or PostgreSQL, in SQLAlchemy's form."""

    outbox_enabled: bool = False
    """Whether workers send what that database's outbox holds."""

    history_retention: Seconds = 30 * 86400
    """Seconds after which a task is forgotten of which nothing was heard since; 0 for never."""

    history_backlog: PositiveCount = 1_000_000
    """Entries that may wait on Redis while the database is away."""

    history_value_size: Count = 4096
    """Characters of arguments and results that are kept whole."""
