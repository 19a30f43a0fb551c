"""The client of use cases: every kind of address that the kit takes leads it to the same server and database."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import RedisError
from redis.sentinel import SentinelConnectionPool
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import free_port
from tests.kit.certificates import for_localhost

from celeriac.testing.embedded import find_redis_server
from celeriac.transport.connector import connector
from infrastructure.redis.client import redis_client


def client_of(url: str, **options: Any) -> Redis:
    return redis_client(SecretStr(url), options)


def options(url: str) -> dict[str, Any]:
    return client_of(url).connection_pool.connection_kwargs


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[PrivateRedis]:
    directory = tmp_path_factory.mktemp("redis")
    with PrivateRedis(directory, aof=False, options={"unixsocket": str(directory / "x.sock")}) as running:
        yield running


def carried(url: str, server: PrivateRedis, database: int) -> None:
    """Write by a URL, and look for it in a database of the server."""
    server.client.flushall()
    with client_of(url) as client:
        client.set("celeriac.test", "1")
        assert client.get("celeriac.test") == b"1"
    assert set(server.client.info("keyspace")) == {f"db{database}"}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://:p%40ss@host:6380/3", {"host": "host", "port": 6380, "db": 3, "password": "p@ss"}),
        ("rediss://host/1", {"host": "host", "db": 1, "ssl_cert_reqs": "required"}),
        ("rediss://host?ssl_cert_reqs=CERT_NONE&ssl_check_hostname=false", {"db": 0, "ssl_cert_reqs": "none"}),
        ("redis+socket:///run/redis.sock?virtual_host=4", {"path": "/run/redis.sock", "db": 4}),
    ],
)
def test_every_kind_of_address_leads_to_its_server(url, said):
    assert said.items() <= options(url).items()
    client_of(url).connection_pool.make_connection()


@pytest.mark.parametrize("url", ["redis://one/3", "redis://one/3;redis://two:1/4", "rediss://one:1/2"])
def test_it_goes_where_the_kit_goes(url):
    made: Any = client_of(url).connection_pool.make_connection()
    assert (made.host, made.port, None, made.db) in connector(url).whereto


def test_sentinels_are_asked_for_the_master():
    url = "sentinel://:secret@one:26379/2;sentinel://two"
    client = client_of(url, master_name="primary", sentinel_kwargs={"password": "theirs"}, ssl={"ca_certs": "/ca"})
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert pool.service_name == "primary"
    assert {"db": 2, "password": "secret", "ssl_ca_certs": "/ca"}.items() <= pool.connection_kwargs.items()
    assert "SSL" in pool.connection_class.__name__
    asked = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"], one["password"]) for one in asked] == [
        ("one", 26379, "theirs"),
        ("two", 26379, "theirs"),
    ]


@pytest.mark.parametrize("url", ["redis://host", "rediss://host", "redis+socket:///run/redis.sock", "sentinel://host"])
def test_nobody_waits_long_for_it(url):
    assert options(url)["socket_timeout"] == 2


def test_it_carries_what_it_is_given(redis_url):
    with client_of(redis_url) as client:
        client.set("celeriac.test", "1")
        assert client.getdel("celeriac.test") == b"1"


def test_it_reads_and_writes_the_database_that_the_address_names(server):
    carried(f"redis://127.0.0.1:{server.port}/3", server, 3)
    carried(f"redis+socket://{server.directory}/x.sock?virtual_host=4", server, 4)
    carried(f"redis+socket://{server.directory}/x.sock", server, 0)


def test_of_several_servers_it_takes_the_first_that_answers(server):
    at = f"127.0.0.1:{server.port}"
    carried(f"redis://{at}/3;redis://127.0.0.1:{free_port()}/5", server, 3)
    carried(f"redis://127.0.0.1:{free_port()}/5;redis://nobody:wrong@{at}/6;redis://{at}/3", server, 3)
    nowhere = client_of(f"redis://127.0.0.1:{free_port()}/1;redis://127.0.0.1:{free_port()}/1")
    with pytest.raises(RedisError):
        nowhere.ping()


def test_of_several_servers_it_goes_on_to_the_next_when_one_goes_away(server, tmp_path):
    with PrivateRedis(tmp_path / "other", aof=False) as other:
        client = client_of(f"redis://127.0.0.1:{other.port}/3;redis://127.0.0.1:{server.port}/3")
        held: Any = client.connection_pool.get_connection()
        client.set("celeriac.test", "here")
        assert other.client.info("keyspace")
    client.set("celeriac.test", "there")
    client.connection_pool.release(held)
    assert client.get("celeriac.test") == b"there"
    assert client.connection_pool.get_connection().port == server.port
    client.close()


def test_over_tls_the_certificate_is_checked_unless_the_address_says_no(tmp_path: Path):
    if b"tls-port" not in find_redis_server().read_bytes():
        pytest.skip("this redis-server was built without TLS: install another to run this")
    crt, key = for_localhost(tmp_path)
    port = free_port()
    files = {"tls-cert-file": str(crt), "tls-key-file": str(key), "tls-ca-cert-file": str(crt)}
    said = {"tls-port": str(port), "tls-auth-clients": "no", **files}
    with PrivateRedis(tmp_path / "server", aof=False, options=said) as server:
        carried(f"rediss://localhost:{port}/2?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={crt}", server, 2)
        carried(f"rediss://localhost:{port}/2?ssl_cert_reqs=CERT_NONE", server, 2)
        with pytest.raises(RedisError, match="certificate verify failed"):
            client_of(f"rediss://localhost:{port}/2?ssl_cert_reqs=CERT_REQUIRED").ping()
