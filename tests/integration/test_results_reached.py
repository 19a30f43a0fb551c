"""Results over every kind of address: TLS, a socket of the file system, users, databases, prefixes, Sentinel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from celery.result import AsyncResult
from redis.exceptions import RedisError
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.sentinel import WatchedRedis
from tests.faults.harness.waiting import free_port, until
from tests.kit.certificates import for_localhost

from celeriac import CeleryAppConfig, TaskResult, create_celery_app
from celeriac.exceptions import ResultUnavailable

pytestmark = pytest.mark.xdist_group("results")


def app_on(url: str, **options: Any) -> Any:
    table = {"broker_url": "redis://localhost:1/0", "result_backend": url, **options}
    return create_celery_app(CeleryAppConfig.from_mapping(table))


def same(plain: Any) -> Any:
    return plain


def round_trip(app: Any, value: Any) -> None:
    """Store it, read it, wait for it in a thread and in a loop, and use redis-py's client."""
    app.backend.store_result("one", value, "STARTED")
    app.backend.store_result("one", value, "SUCCESS")
    result = TaskResult("ping", AsyncResult("one", app=app), same)
    assert result.get(timeout=10) == value

    async def main() -> None:
        again = TaskResult("ping", AsyncResult("one", app=app), same)
        assert await again.aget(timeout=10) == value

    asyncio.run(main())
    assert app.backend.client.ping()


@pytest.mark.parametrize("value", [{"small": 1}, "x" * 500_000], ids=["small", "large"])
def test_over_tls(tmp_path, value):
    crt, key = map(str, for_localhost(tmp_path))
    port = free_port()
    files = {"tls-cert-file": crt, "tls-key-file": key, "tls-ca-cert-file": crt, "tls-auth-clients": "no"}
    with PrivateRedis(tmp_path / "tls", options={"tls-port": str(port), **files}):
        address = f"rediss://localhost:{port}/0"
        app = app_on(f"{address}?ssl_cert_reqs=required&ssl_ca_certs={crt}")
        round_trip(app, value)
        app.close()
        unverified = app_on(address)
        with pytest.raises(ResultUnavailable, match="certificate verify failed"):
            TaskResult("ping", AsyncResult("one", app=unverified), same).get(timeout=10)
        unverified.close()


def test_over_a_socket_of_the_file_system(tmp_path):
    path = tmp_path / "redis.sock"
    with PrivateRedis(tmp_path / "socket", options={"unixsocket": str(path)}):
        app = app_on(f"redis+socket://{path}?virtual_host=2")
        round_trip(app, 1)
        app.close()


def test_as_a_user_in_a_database_under_a_prefix(tmp_path):
    with PrivateRedis(tmp_path / "users") as server:
        server.client.execute_command("ACL", "SETUSER", "worker", "on", ">p@ss/w:rd", "~team_*", "&team_*", "+@all")
        app = app_on(
            f"redis://worker:p%40ss%2Fw%3Ard@127.0.0.1:{server.port}/3",
            result_backend_transport_options={"global_keyprefix": "team"},
        )
        round_trip(app, 1)
        app.close()
        assert server.client.info("keyspace").keys() == {"db3"}


@pytest.mark.timeout(90)
def test_sentinel_leads_to_the_new_master(tmp_path):
    with WatchedRedis(tmp_path) as watched:
        app = app_on(watched.url, result_backend_transport_options={"master_name": watched.name})
        round_trip(app, 1)
        assert watched.replicated()
        watched.master.kill()
        app.backend.store_result("late", 2, "SUCCESS")
        app.backend.writer.drain(60)
        assert watched.promoted()
        until(lambda: _read(app, "late") == 2)
        assert _read(app, "one") == 1
        app.close()


def _read(app: Any, task_id: str) -> Any:
    try:
        return app.backend.get_result(task_id)
    except RedisError:
        return None
