"""What is kept in the database."""

from __future__ import annotations

from pydantic import SecretStr

from core.configs.environment import Environment, FromEnvironment

__all__ = ["DatabaseSettings", "HistorySettings"]


class DatabaseSettings(FromEnvironment):
    """Where users, their work and what happened to each task are kept."""

    database_url: SecretStr | None = None
    """``DATABASE_URL``: SQLite or PostgreSQL. Without it there is a file in development, and no database elsewhere."""

    def url(self, environment: Environment) -> SecretStr | None:
        """The database's URL, or ``None`` where there is none."""
        if self.database_url is None and environment is Environment.DEVELOPMENT:
            return SecretStr("sqlite:///.data/celeriac.db")
        return self.database_url


class HistorySettings(FromEnvironment):
    """Whether it is written down what happened to each task."""

    celery_history_enabled: bool = True
    """``CELERY_HISTORY_ENABLED``: ``false`` keeps no history, whatever the database."""
