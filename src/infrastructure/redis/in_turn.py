"""Several Redis servers, of which one is used at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["InTurn"]

Server = tuple[type[Any], dict[str, Any]]


class InTurn(ConnectionPool):
    """Connects to the first server that lets us in, and keeps to it until it does so no more.

    Args:
        servers: for each, the class of its connections and their arguments.
    """

    def __init__(self, servers: Iterable[Server]) -> None:
        self._servers = deque(servers)
        make: Any = self._made
        super().__init__(make)

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:
        """See redis-py."""
        for _ in range(len(self._servers) - 1):
            server = self._servers[0]
            try:
                return super().get_connection(*args, **kwargs)
            except MaxConnectionsError:
                raise
            except (RedisConnectionError, RedisTimeoutError):
                self._leave(server)
        return super().get_connection(*args, **kwargs)

    def owns_connection(self, connection: Any) -> Any:
        """Whether it is of this process, and of the server in use."""
        return super().owns_connection(connection) and connection.server is self._servers[0]

    def _made(self, **said: Any) -> Any:
        server = self._servers[0]
        kind, kwargs = server
        connection = kind(**said, **kwargs)
        connection.server = server
        return connection

    def _leave(self, server: Server) -> None:
        """Go on to the next, unless another thread did so."""
        with self._lock:
            if self._servers[0] is not server:
                return
            self._servers.rotate(-1)
            idle: list[Any] = self._available_connections
            for connection in idle:
                connection.disconnect()
            self._created_connections -= len(idle)
            idle.clear()
