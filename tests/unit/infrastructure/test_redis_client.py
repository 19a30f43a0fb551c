from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr
from redis.sentinel import SentinelConnectionPool

from infrastructure.redis.client import redis_client


def options(url: str) -> dict[str, Any]:
    return redis_client(SecretStr(url)).connection_pool.connection_kwargs


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:p%40ss@host:6380/3", {"host": "host", "port": 6380, "db": 3, "password": "p@ss"}),
        ("rediss://host/1", {"host": "host", "db": 1}),
        ("redis+socket:///run/redis.sock?virtual_host=4", {"path": "/run/redis.sock"}),
    ],
)
def test_every_kind_of_address_leads_to_its_server(url, said):
    assert said.items() <= options(url).items()


def test_sentinels_are_asked_for_the_master():
    client = redis_client(SecretStr("sentinel://:secret@one:26379/2;sentinel://two"), "primary")
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "primary"
    assert {"db": 2, "password": "secret"}.items() <= pool.connection_kwargs.items()
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in asked] == [("one", 26379), ("two", 26379)]


def test_nobody_waits_long_for_it():
    assert options("redis://host")["socket_timeout"] == 2


def test_it_carries_what_it_is_given(redis_url):
    client = redis_client(SecretStr(redis_url))
    client.set("celeriac.test", "1")
    assert client.getdel("celeriac.test") == b"1"
    client.close()
