"""Settings as the environment gives them: checked once, secrets masked."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Environment", "FromEnvironment", "SettingsError"]


class SettingsError(ValueError):
    """The environment lacks a variable, or has one that cannot be used. Never shows a value."""


class Environment(StrEnum):
    """Where the service runs."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class FromEnvironment(BaseSettings):
    """Settings whose errors name the variable and never the value."""

    # An empty variable counts as not set: that is what a compose file makes of one that it could not fill.
    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, hide_input_in_errors=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            prefix = str(self.model_config.get("env_prefix", ""))
            problem = SettingsError("; ".join(_explain(prefix, detail) for detail in error.errors(include_input=False)))
        else:
            return
        # Outside of the `except`, so that no traceback leads to the values.
        raise problem


def _explain(prefix: str, detail: Any) -> str:
    variable = f"{prefix}{detail['loc'][0]}".upper() if detail["loc"] else "the environment"
    if variable == "REDIS_URL" and detail["type"] == "missing":
        return (
            "REDIS_URL is not set: it names the Redis server that carries tasks and keeps their results."
            " Set it, for example REDIS_URL=redis://localhost:6379/0, or run `make dev`, which starts a server"
        )
    problem = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{variable} cannot be used: {problem}"
