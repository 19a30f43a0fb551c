"""Which transport carries an application's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kombu import Connection
from kombu.utils.imports import symbol_by_name

if TYPE_CHECKING:
    from kombu.transport.base import Transport

__all__ = ["TRANSPORTS", "LosslessConnection"]

TRANSPORTS: Final = {
    "redis": "celeriac.transport.redis.transport:LeasedTransport",
    "rediss": "celeriac.transport.redis.transport:LeasedTransport",
    "sentinel": "celeriac.transport.redis.transport:LeasedSentinelTransport",
}
"""By the scheme of the broker's URL. All others are kombu's own."""


class LosslessConnection(Connection):
    """kombu's connection, with our transports behind the usual schemes.

    kombu's table of transports belongs to the whole process, and a plain Celery app may live beside ours.
    """

    def get_transport_cls(self) -> type[Transport]:
        ours = TRANSPORTS.get(str(self.transport_cls))
        found: Any = super().get_transport_cls() if ours is None else symbol_by_name(ours)
        return found
