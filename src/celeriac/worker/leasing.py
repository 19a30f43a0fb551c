"""A way to the broker's leases that belongs to nobody's channel: for those who renew them in another's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celeriac.options.address import is_redis
from celeriac.transport.connector import Connector, connector
from celeriac.transport.link import Link
from celeriac.transport.redis.broker import LEASE, RedisBroker

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Leasing"]

_USUAL_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Leasing:
    """Where leases are kept, and how long one lasts."""

    connect: Connector
    timeout: float
    prefix: str
    """kombu's ``global_keyprefix``."""
    lease: float
    """Seconds."""

    @classmethod
    def of(cls, conf: Any) -> Leasing | None:
        """As an application's options say; ``None`` where its broker has no leases."""
        url = conf.broker_read_url or conf.broker_url
        if not isinstance(url, str) or not is_redis(url):
            return None
        said: Mapping[str, Any] = conf.broker_transport_options or {}
        return cls(
            connector(url, options={"ssl": conf.broker_use_ssl or None, **said}),
            float(said.get("socket_timeout") or _USUAL_TIMEOUT),
            said.get("global_keyprefix") or "",
            float(said.get("lease") or LEASE),
        )

    def broker(self) -> RedisBroker:
        """The broker over a connection of its own, opened at first use."""
        return RedisBroker(Link(self.connect, timeout=self.timeout), self.prefix, self.lease)
