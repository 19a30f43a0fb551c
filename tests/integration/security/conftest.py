"""Keys, rates and records on a real Redis that may be taken away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import Redis

from celeriac.security.server import Server
from celeriac.transport.link import connector


@pytest.fixture
def url(redis_url: str) -> str:
    """An empty server."""
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    return redis_url


@asynccontextmanager
async def opened(url: str, prefix: str = "") -> AsyncGenerator[Server]:
    server = Server(connector(url), prefix)
    try:
        yield server
    finally:
        await server.close()


@pytest.fixture
def on_server(url: str) -> Callable[[Callable[[Server], Coroutine[Any, Any, Any]]], Any]:
    """Runs a coroutine function over a server."""

    def run(story: Callable[[Server], Coroutine[Any, Any, Any]]) -> Any:
        async def told() -> Any:
            async with opened(url) as server:
                return await story(server)

        return asyncio.run(told())

    return run
