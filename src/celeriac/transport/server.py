"""A Redis server for what is asked now and then, beside the hot path: from any thread, within a second or so."""

from __future__ import annotations

from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import TYPE_CHECKING, Any, Final, Literal

from kombu.utils.url import maybe_sanitize_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from celeriac.transport.connector import connector, leads_to_redis
from celeriac.transport.link import Link
from celeriac.transport.publishing.breaker import Breaker
from celeriac.transport.results.address import connector_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from celery import Celery

    from celeriac.transport.connector import Connector
    from celeriac.transport.link import Script

__all__ = ["RedisServer", "broker_server", "place_of_small_things", "shelf_of"]

TIMEOUT: Final = 1.0
"""Seconds that an answer may take, connecting included."""


class RedisServer:
    """Commands to one server. Each thread that asks has a connection for that long; they are kept for the next.

    Once it is known to be out of reach, callers are told at once, and one of them tries again every half second or two.

    Args:
        connect: opens a connection.
        prefix: what stands before every key of ours.
        timeout: seconds that an answer may take.
    """

    def __init__(self, connect: Connector, prefix: str = "", timeout: float = TIMEOUT) -> None:
        self.address = connect.address
        """Its URL without the password."""
        self.whereto = connect.whereto
        self.prefix = prefix
        self._connect = connect
        self._timeout = timeout
        self._free: LifoQueue[Link] = LifoQueue()
        self._breaker = Breaker()

    def __repr__(self) -> str:
        return f"RedisServer({self.address!r})"

    def key(self, name: str) -> str:
        """A key of ours."""
        return f"{self.prefix}celeriac.{name}"

    def call(self, *command: bytes | str | float) -> Any:
        """One command, one reply; strings come as bytes.

        Raises:
            redis.exceptions.RedisError: out of reach, or refused.
        """
        with self._link() as link:
            return link.call(*command)

    def pipeline(self, commands: Sequence[tuple[bytes | str | float, ...]]) -> list[Any]:
        """Several commands in one round trip, their replies in order.

        Raises:
            redis.exceptions.RedisError: out of reach, or one of them was refused.
        """
        if not commands:
            return []
        with self._link() as link:
            replies = link.pipeline(commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def run(self, script: Script, keys: Sequence[str], args: Sequence[bytes | str | float] = ()) -> Any:
        """A script.

        Raises:
            redis.exceptions.RedisError: out of reach, or refused.
        """
        with self._link() as link:
            return script.call(link, keys, args)

    def close(self) -> None:
        """Close every connection that nobody uses now. The next command opens another."""
        while True:
            try:
                self._free.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _link(self) -> Generator[Link]:
        if (refusal := self._breaker.refusal()) is not None:
            raise RedisConnectionError(refusal)
        try:
            link = self._free.get_nowait()
            if link.connected and not link.alive():  # it was closed while nobody looked
                link.close()
        except Empty:
            link = Link(self._connect, timeout=self._timeout)
        try:
            yield link
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            self._breaker.failed(str(error) or type(error).__name__)
            raise
        except RedisError:
            raise
        except BaseException:  # such as a time limit, perhaps between a question and its answer
            link.close()
            raise
        else:
            self._breaker.succeeded()
        finally:
            self._free.put(link)


def broker_server(app: Celery) -> RedisServer | None:
    """The broker, where it is a Redis server."""
    found = _broker_of(app, "broker_read_url")
    return None if found is None else RedisServer(*found)


def shelf_of(app: Celery) -> RedisServer | None:
    """Where small things are kept beside messages, such as who was revoked: with the results, else with the broker.

    ``None`` where neither is a Redis server.
    """
    found = place_of_small_things(app, "broker_read_url")
    return None if found is None else RedisServer(*found)


def place_of_small_things(
    app: Celery, broker: Literal["broker_read_url", "broker_write_url"]
) -> tuple[Connector, str] | None:
    """The server of the results, else that of messages, and what stands before every key there.

    ``None`` where neither is a Redis server.
    """
    backend: Any = app.backend
    if hasattr(backend, "subscription"):
        return connector_of(backend), _prefix(app.conf.get("result_backend_transport_options"))
    return _broker_of(app, broker)


def _broker_of(app: Celery, which: str) -> tuple[Connector, str] | None:
    conf: Any = app.conf
    url = str(getattr(conf, which) or "")
    if not leads_to_redis(url):
        return None
    said: dict[str, Any] = conf.broker_transport_options or {}
    return connector(url, options={"ssl": conf.broker_use_ssl or None, **said}), _prefix(said)


def _prefix(options: Mapping[str, Any] | None) -> str:
    return str((options or {}).get("global_keyprefix") or "")


def shown(url: str) -> str:
    """A URL as it may be shown to anybody: no password, and nothing of what follows a question mark."""
    return str(maybe_sanitize_url(url.partition("?")[0]))
