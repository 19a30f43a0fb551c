"""The HTTP door."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from core.configs.environment import FromEnvironment

__all__ = ["AccessSettings", "HttpSettings"]


class AccessSettings(FromEnvironment):
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


class HttpSettings(FromEnvironment):
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
