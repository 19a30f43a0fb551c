"""Security: the gate that callers from outside come through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Celery

from celeriac.security.gate import Gate
from celeriac.security.server import server_of
from core.configs.settings import AccessSettings, Settings
from ioc.punq_container import Container

if TYPE_CHECKING:
    from celeriac.security.tokens import Tokens

__all__ = ["register_security"]


def register_security(container: Container) -> None:
    """Register the gate. Whoever serves resolves it once, opens it, and closes it at the end.

    It is no singleton: the container builds those at every start, and a worker lets nobody in.
    """
    container.register(Gate, _gate)


def _gate(settings: Settings, celery: Celery) -> Gate:
    """The gate that the settings describe.

    Raises:
        OpenInProduction: ``HTTP_AUTH=off`` in production.
        InvalidSetting: what is said of tokens cannot be used.
    """
    access = settings.access_settings
    return Gate(
        server_of(celery),
        tokens=_tokens(access),
        rate=None if access.rate_limit == "off" else access.rate_limit,
        open_to_all=access.auth == "off",
        environment=str(settings.environment),
    )


def _tokens(access: AccessSettings) -> Tokens | None:
    if access.jwt_issuer is None or access.jwt_audience is None or access.jwt_jwks_url is None:
        return None
    from celeriac.security.tokens import TokenRules, Tokens  # noqa: PLC0415  loads much, and only tokens need it

    rules = TokenRules(
        issuer=access.jwt_issuer,
        audience=access.jwt_audience,
        jwks_url=access.jwt_jwks_url,
        algorithms=access.jwt_algorithms,
        leeway=access.jwt_leeway,
    )
    return Tokens(rules)
