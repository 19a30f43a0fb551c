"""Where results are stored, and how long the server may take: from Celery's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celeriac.transport.link import connector

if TYPE_CHECKING:
    from celeriac.transport.connector import Connector

__all__ = ["connector_of", "timeout_of"]

USUAL_TIMEOUT: Final = 1.0
"""Seconds that the server may take to answer."""
_CELERYS: Final = 120.0
"""Celery's default of ``redis_socket_timeout``: two minutes, in which a server that is gone blocks its callers."""


def timeout_of(conf: Any) -> float:
    """``redis_socket_timeout`` in seconds, unless nobody said it."""
    said = conf.get("redis_socket_timeout")
    return float(said) if said and float(said) != _CELERYS else USUAL_TIMEOUT


def connector_of(backend: Any) -> Connector:
    """What opens connections to a backend's server.

    Raises:
        ValueError: the settings make no address.
    """
    conf = backend.app.conf
    params: dict[str, Any] = backend.connparams
    said: dict[str, Any] = dict(conf.get("result_backend_transport_options") or {})
    options: dict[str, Any] = {
        "socket_timeout": timeout_of(conf),
        "socket_connect_timeout": conf.get("redis_socket_connect_timeout"),
        "socket_keepalive": conf.get("redis_socket_keepalive"),
        "client_name": conf.get("redis_client_name"),
        "username": conf.get("redis_username"),
        "password": conf.get("redis_password"),
        "credential_provider": params.get("credential_provider"),
        "ssl": conf.get("redis_backend_use_ssl"),
        **{name: said.get(name) for name in ("master_name", "sentinel_kwargs", "min_other_sentinels")},
    }
    url = backend.url or f"redis://{params.get('host')}:{params.get('port')}/{params.get('db')}"
    return connector(url, options=options)
