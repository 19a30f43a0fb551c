"""What the service is told from outside: environment variables, checked once, secrets masked."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = [
    "AccessSettings",
    "Environment",
    "HistorySettings",
    "HttpSettings",
    "LoggingSettings",
    "RedisSettings",
    "Settings",
    "SettingsError",
]

_REDIS_SCHEMES = ("redis", "rediss", "sentinel", "redis+socket")
_EXAMPLE = "write it like redis://:PASSWORD@HOST:6379/0"


class SettingsError(ValueError):
    """The environment lacks a variable, or has one that cannot be used. Never shows a value."""


class Environment(StrEnum):
    """Where the service runs."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"
    TEST = "test"


class _FromEnvironment(BaseSettings):
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


class RedisSettings(_FromEnvironment):
    """The Redis server that carries tasks and keeps their results."""

    redis_url: SecretStr
    """``REDIS_URL``, required."""

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None:
            """Without values: the environment gives them, so that a type checker asks for none."""

    @field_validator("redis_url")
    @classmethod
    def _leads_to_a_server(cls, url: SecretStr) -> SecretStr:
        if (problem := _problem(url.get_secret_value())) is not None:
            raise ValueError(problem)
        return url


class LoggingSettings(_FromEnvironment):
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


class HistorySettings(_FromEnvironment):
    """Where it is written down what happened to each task."""

    database_url: SecretStr | None = None
    """``DATABASE_URL``: SQLite or PostgreSQL. Without it there is a file in development, and no history elsewhere."""
    celery_history_enabled: bool | None = None
    """``CELERY_HISTORY_ENABLED``: ``false`` keeps none, whatever the database."""

    def url(self, environment: Environment) -> SecretStr | None:
        """The database's URL, or ``None`` where no history is kept."""
        if self.celery_history_enabled is False:
            return None
        if self.database_url is None and environment is Environment.DEVELOPMENT:
            return SecretStr("sqlite:///.data/celeriac.db")
        return self.database_url


class AccessSettings(_FromEnvironment):
    """Who may come in over HTTP."""

    model_config = SettingsConfigDict(env_prefix="HTTP_")

    auth: Literal["required", "off"] = "required"
    """``HTTP_AUTH``: ``off`` asks nobody who they are, and is refused in production."""
    rate_limit: Annotated[str, Field(pattern=r"^(off|[1-9]\d*/[smh])$")] = "6000/m"
    """``HTTP_RATE_LIMIT``: requests of one caller per ``s``, ``m`` or ``h``, or ``off``."""
    jwt_issuer: str | None = None
    """``HTTP_JWT_ISSUER``: whose tokens count; without it, API keys alone do."""
    jwt_audience: str | None = None
    """``HTTP_JWT_AUDIENCE``: whom tokens have to be meant for."""
    jwt_jwks_url: str | None = None
    """``HTTP_JWT_JWKS_URL``: where the issuer publishes its keys."""
    jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = ("RS256", "PS256", "ES256", "EdDSA")
    """``HTTP_JWT_ALGORITHMS``: how tokens may be signed, with commas between them."""
    jwt_leeway: float = 30
    """``HTTP_JWT_LEEWAY``: seconds by which the issuer's clock may differ."""

    @field_validator("jwt_algorithms", mode="before")
    @classmethod
    def _with_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _all_of_an_issuer(self) -> Self:
        said = {
            "HTTP_JWT_ISSUER": self.jwt_issuer,
            "HTTP_JWT_AUDIENCE": self.jwt_audience,
            "HTTP_JWT_JWKS_URL": self.jwt_jwks_url,
        }
        missing = [name for name, value in said.items() if value is None]
        if missing and len(missing) < len(said):
            msg = f"tokens take all of {', '.join(said)}; {' and '.join(missing)} is not set"
            raise ValueError(msg)
        return self


class HttpSettings(_FromEnvironment):
    """How the service shows itself over HTTP."""

    model_config = SettingsConfigDict(env_prefix="HTTP_")

    title: str = "Celeriac"
    """``HTTP_TITLE``: what the OpenAPI document is called."""
    origins: Annotated[tuple[str, ...], NoDecode] = ()
    """``HTTP_ORIGINS``: web origins whose scripts may call it, with commas between them; none unless said."""

    @field_validator("origins", mode="before")
    @classmethod
    def _with_commas(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value


class Settings(_FromEnvironment):
    """Everything the service is told."""

    environment: Environment = Environment.PRODUCTION
    """``ENVIRONMENT``."""
    redis_settings: RedisSettings = Field(default_factory=RedisSettings)
    logging_settings: LoggingSettings = Field(default_factory=LoggingSettings)
    access_settings: AccessSettings = Field(default_factory=AccessSettings)
    history_settings: HistorySettings = Field(default_factory=HistorySettings)
    http_settings: HttpSettings = Field(default_factory=HttpSettings)


def _explain(prefix: str, detail: Any) -> str:
    variable = f"{prefix}{detail['loc'][0]}".upper() if detail["loc"] else "the environment"
    if variable == "REDIS_URL" and detail["type"] == "missing":
        return (
            "REDIS_URL is not set: it names the Redis server that carries tasks and keeps their results."
            " Set it, for example REDIS_URL=redis://localhost:6379/0, or run `make dev`, which starts a server"
        )
    problem = str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{variable} cannot be used: {problem}"


def _problem(url: str) -> str | None:
    scheme = url.partition("://")[0]
    if scheme not in _REDIS_SCHEMES:
        return f"its scheme is none of {', '.join(_REDIS_SCHEMES)}; {_EXAMPLE}"
    if scheme == "redis+socket":
        return None
    try:
        parts = urlsplit(url.partition(";")[0])
        reachable = parts.port is None or parts.port > 0
    except ValueError:
        return f"its port is no number from 1 to 65535 (percent-encode a password with / # or ?); {_EXAMPLE}"
    if not parts.hostname or not reachable:
        return f"it names no host, or port 0; {_EXAMPLE}"
    return None if re.fullmatch(r"/?\d*/?", parts.path) else f"its database is no number; {_EXAMPLE}"
