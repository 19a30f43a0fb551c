"""From a URL to an open connection: redis-py knows TLS, users, passwords, databases and Sentinel."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from kombu.utils.url import maybe_sanitize_url, url_to_parts
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

if TYPE_CHECKING:
    from kombu.utils.url import urlparts

__all__ = ["Connector", "connector", "leads_to_redis"]

USUAL_TIMEOUT: Final = 5.0
"""Seconds to connect and to be greeted, where nobody says how many."""
_SOCKETS: Final = ("socket", "unix", "redis+socket")
_SCHEMES: Final = ("redis", "rediss", "sentinel", *_SOCKETS)
_TAKEN: Final = (
    "client_name",
    "credential_provider",
    "password",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_timeout",
    "username",
)
"""What redis-py is told of the transport options and of the URL's query; the rest is not about connecting."""
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "socket_connect_timeout": float,
    "socket_keepalive": lambda text: text.lower() not in {"0", "false", "no", "off", "n", "f"},
    "socket_timeout": float,
}


class _Bounded:
    """A connection of redis-py whose whole greeting ends at one moment, however many steps it takes."""

    deadline: float = 0.0
    _sock: Any

    def remaining(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            msg = "Timeout connecting to server"
            raise RedisTimeoutError(msg)
        return left

    @property
    def socket_timeout(self) -> float:
        return self.remaining()

    @socket_timeout.setter
    def socket_timeout(self, value: float | None) -> None:
        """One moment counts for all."""

    @property
    def socket_connect_timeout(self) -> float:
        said = getattr(self, "_socket_connect_timeout", None)
        return self.remaining() if said is None else min(said, self.remaining())

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: float | None) -> None:
        self._socket_connect_timeout = value

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        if self._sock is not None:
            self._sock.settimeout(self.remaining())
        reader: Any = super()
        return reader.read_response(*args, **kwargs)


# redis-py's classes are untyped, so a type checker cannot see that the two fit.
class _Tcp(_Bounded, Connection):  # type: ignore[misc]
    pass


class _Tls(_Bounded, SSLConnection):  # type: ignore[misc]
    pass


class _Unix(_Bounded, UnixDomainSocketConnection):  # type: ignore[misc]
    pass


class Connector:
    """Opens connections to one address.

    Args:
        url: ``redis://``, ``rediss://``, ``sentinel://`` or ``redis+socket://``, with the query that kombu and Celery
            understand, such as ``ssl_cert_reqs=required``; several with ``;`` between them are tried in turn.
        options: transport options of kombu or Celery: ``socket_timeout``, ``socket_connect_timeout``, ``ssl`` (what
            ``broker_use_ssl`` holds), ``master_name``, ``sentinel_kwargs``, ``min_other_sentinels`` and so on.
        protocol: 3 for push messages, or 2.

    Raises:
        ValueError: the URL, or what it needs of the options, makes no address.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None, *, protocol: int = 3) -> None:
        said: dict[str, Any] = dict(options or {})
        urls = [single.strip() for single in url.split(";") if single.strip()]
        parts = [url_to_parts(single) for single in urls]
        first = parts[0]
        self.address = ";".join(maybe_sanitize_url(single) for single in urls)
        """The URL without its password."""
        self._sentinels = [(each.hostname, each.port or 26379) for each in parts] if first.scheme == "sentinel" else []
        self._master: str | None = said.get("master_name")
        self._sentinel_kwargs: dict[str, Any] = dict(said.get("sentinel_kwargs") or {})
        self._other_sentinels = int(said.get("min_other_sentinels") or 0)
        if self._sentinels and not self._master:
            msg = "a sentinel:// URL needs the transport option master_name"
            raise ValueError(msg)
        self.timeout = float(said.get("socket_timeout") or USUAL_TIMEOUT)
        """Seconds for the whole of connecting, where the caller does not say."""
        servers = parts[:1] if self._sentinels else parts
        self._targets = [_target(each, said, _tls(each, said.get("ssl")), protocol) for each in servers]

    def __repr__(self) -> str:
        return f"Connector({self.address!r})"

    @property
    def whereto(self) -> tuple[Any, ...]:
        """What two connectors have in common that lead to the same database of the same server."""
        if self._sentinels:
            return self._master, self._targets[0][1]["db"], *sorted(map(str, self._sentinels))
        servers = {tuple(kwargs.get(name) for name in ("host", "port", "path", "db")) for _, kwargs in self._targets}
        return tuple(sorted(servers, key=str))

    def __call__(self, timeout: float | None = None) -> Connection:
        """Connect, log in, select the database.

        Args:
            timeout: seconds for all of it together; name resolution alone is not bounded.

        Raises:
            redis.exceptions.ConnectionError: refused, or the server did not let us in.
            redis.exceptions.TimeoutError: no answer in time.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        for left in range(len(self._targets), 1, -1):
            try:
                return self._open(time.monotonic() + (deadline - time.monotonic()) / left)
            except RedisError:
                self._targets.append(self._targets.pop(0))  # where the next one begins, too
        return self._open(deadline)

    def _open(self, deadline: float) -> Connection:
        kind, kwargs = self._targets[0]
        if self._sentinels:
            host, port = self._discover(deadline)
            kwargs = {**kwargs, "host": host, "port": port}
        connection = kind(**kwargs)
        connection.deadline = deadline
        connection.connect()
        return cast("Connection", connection)

    def _discover(self, deadline: float) -> tuple[str, int]:
        """Where Sentinel says that the master is. The first sentinels that hang leave time for the others."""
        share = max((deadline - time.monotonic()) / (len(self._sentinels) + 1), 0.001)
        bounds = {"socket_timeout": share, "socket_connect_timeout": share, "retry": Retry(NoBackoff(), 0)}
        make: Any = Sentinel
        sentinel = make(
            self._sentinels,
            min_other_sentinels=self._other_sentinels,
            sentinel_kwargs={**bounds, **self._sentinel_kwargs},
        )
        try:
            found: tuple[str, int] = sentinel.discover_master(self._master)
        finally:
            sentinel.close()
        return found


def leads_to_redis(url: str) -> bool:
    """Whether a URL is one that :class:`Connector` understands."""
    return url.partition("://")[0] in _SCHEMES


def connector(url: str, *, options: Mapping[str, Any] | None = None, protocol: int = 3) -> Connector:
    """What opens connections to ``url``: see :class:`Connector`."""
    return Connector(url, options, protocol=protocol)


def _target(
    parts: urlparts, said: Mapping[str, Any], tls: dict[str, Any] | None, protocol: int
) -> tuple[type[Any], dict[str, Any]]:
    """The class of a connection to one server, and its arguments."""
    kwargs = {**_kwargs(parts, said), **(tls or {}), "protocol": protocol, "driver_info": None}
    if parts.scheme not in _SOCKETS:
        return (_Tcp if tls is None else _Tls), kwargs
    for name in ("host", "port", "socket_connect_timeout", "socket_keepalive", "socket_keepalive_options"):
        kwargs.pop(name, None)
    return _Unix, {**kwargs, "path": f"/{parts.path}"}


def _kwargs(parts: urlparts, said: Mapping[str, Any]) -> dict[str, Any]:
    """What redis-py wants to hear: the options, and over them the URL and its query."""
    query: dict[str, Any] = dict(parts.query)
    database = parts.path if parts.scheme not in _SOCKETS else query.get("virtual_host", query.get("db"))
    found: dict[str, Any] = {name: said[name] for name in _TAKEN if said.get(name) is not None}
    for name in _TAKEN:
        if name in query:
            found[name] = _READ.get(name, str)(query[name])
    if parts.username is not None or parts.password is not None:
        found["username"], found["password"] = parts.username, parts.password
    if found.get("credential_provider") is not None:
        found.pop("username", None)
        found.pop("password", None)
    found.update(
        host=parts.hostname or "localhost", port=parts.port or 6379, db=int(str(database or "0").strip("/") or 0)
    )
    return found


def _tls(parts: urlparts, said: Any) -> dict[str, Any] | None:
    """redis-py's TLS arguments, or ``None`` for a plain connection."""
    table: Mapping[str, Any] = cast("Mapping[str, Any]", said) if isinstance(said, Mapping) else {}
    found: dict[str, Any] = {f"ssl_{name.removeprefix('ssl_')}": value for name, value in table.items()}
    found.update({name: value for name, value in parts.query.items() if name.startswith("ssl_")})
    if not (parts.scheme == "rediss" or said or found):
        return None
    checks = found.get("ssl_cert_reqs", "required")
    text = isinstance(checks, str)
    found["ssl_cert_reqs"] = checks.lower().removeprefix("cert_") if text else ssl.VerifyMode(checks or 0)
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = str(found["ssl_check_hostname"]).lower() not in {"false", "0", "no"}
    return found
