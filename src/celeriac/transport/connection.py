"""Which transport carries an application's messages."""

from __future__ import annotations

from typing import Any, Final

from kombu import Connection
from kombu.connection import ConnectionPool, PooledConnection
from kombu.utils.imports import symbol_by_name
from typing_extensions import override

__all__ = ["TRANSPORTS", "LosslessConnection"]

TRANSPORTS: Final = {
    "redis": "celeriac.transport.redis.transport:LeasedTransport",
    "rediss": "celeriac.transport.redis.transport:LeasedTransport",
    "sentinel": "celeriac.transport.redis.transport:LeasedSentinelTransport",
    "amqp": "celeriac.transport.rabbitmq.transport:SafeTransport",
    "pyamqp": "celeriac.transport.rabbitmq.transport:SafeTransport",
    "librabbitmq": "celeriac.transport.rabbitmq.transport:SafeTransport",
    "amqps": "celeriac.transport.rabbitmq.transport:SafeSSLTransport",
}
"""By the scheme of the broker's URL. All others are kombu's own."""


class LosslessConnection(Connection):
    """kombu's connection, with our transports behind the usual schemes.

    kombu's table of transports belongs to the whole process, and a plain Celery app may live beside ours.
    """

    @override
    def get_transport_cls(self) -> Any:
        ours = TRANSPORTS.get(str(self.transport_cls))
        return super().get_transport_cls() if ours is None else symbol_by_name(ours)

    def Pool(self, limit: int | None = None, **kwargs: Any) -> ConnectionPool:  # noqa: N802  kombu's name
        """A pool of connections like this one."""
        return _LosslessPool(self, limit, **kwargs)


class _PooledConnection(PooledConnection):  # to the stubs, and to them alone, no Connection
    """What a pool lends out to publish by: kombu's own transport for Redis, where there is no more to confirm."""

    def get_transport_cls(self: Any) -> Any:
        ours = TRANSPORTS.get(str(self.transport_cls), "")
        return symbol_by_name(ours) if ".rabbitmq." in ours else Connection.get_transport_cls(self)


class _LosslessPool(ConnectionPool):
    @override
    def new(self: Any) -> Any:
        return _PooledConnection(self, **dict(self.connection._info(resolve=False)))  # noqa: SLF001  as kombu's own does
