"""What the service says of itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator
from pydantic_settings import SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["LoggingSettings"]


class LoggingSettings(FromEnvironment):
    """How the service logs."""

    model_config = SettingsConfigDict(env_prefix="LOGGING_")

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """``LOGGING_LEVEL``, in capitals or not."""
    format: Literal["console", "json"] = "console"
    """``LOGGING_FORMAT``: ``console`` for people, ``json`` for machines."""

    @field_validator("level", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value
