"""The one Redis client of a process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import SecretStr
from redis import Redis
from redis.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.sentinel import Sentinel

from celeriac.transport.connector import Connector
from infrastructure.redis.in_turn import InTurn

__all__ = ["redis_client"]

_PATIENCE: Final[dict[str, Any]] = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}
"""Seconds to connect, and to wait for an answer."""


def redis_client(url: SecretStr, options: Mapping[str, Any] | None = None) -> Redis:
    """A client whose pool all use cases share; connects at first use.

    Args:
        url: ``redis://``, ``rediss://``, ``redis+socket://`` or ``sentinel://``, read as the kit reads it; several
            with ``;`` between them are tried in turn.
        options: transport options, of which those count that are about connecting, such as ``master_name``.

    Raises:
        ValueError: the URL makes no address.
    """
    return _Address(url.get_secret_value(), {"master_name": "mymaster", **(options or {}), **_PATIENCE}).client()


class _Address(Connector):
    """What the kit makes of a URL, for redis-py's own pools."""

    def client(self) -> Redis:
        servers = [(_plain(kind), _free(kwargs)) for kind, kwargs in self._targets]
        if self._sentinels:
            return self._by_sentinels(*servers[0])
        kind, kwargs = servers[0]
        return Redis.from_pool(InTurn(servers) if len(servers) > 1 else ConnectionPool(kind, **kwargs))

    def _by_sentinels(self, kind: type[Any], kwargs: dict[str, Any]) -> Redis:
        make: Any = Sentinel  # redis-py left it without types
        sentinel = make(
            self._sentinels,
            min_other_sentinels=self._other_sentinels,
            sentinel_kwargs={**_PATIENCE, **self._sentinel_kwargs},
        )
        return cast("Redis", sentinel.master_for(self._master, ssl=kind is SSLConnection, **kwargs))


def _plain(kind: type[Any]) -> type[Any]:
    """redis-py's class: the kit's hold for the greeting alone."""
    return next(each for each in (UnixDomainSocketConnection, SSLConnection, Connection) if issubclass(kind, each))


def _free(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without the protocol: replies have the form that redis-py gives them where nobody names one."""
    return {name: value for name, value in kwargs.items() if name != "protocol"}
