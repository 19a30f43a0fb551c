"""A Redis without memory to spare: publishers are told before, and workers drain it."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest
from kombu.exceptions import OperationalError
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import until
from tests.integration.conftest import broker_on

from celeriac.exceptions import BrokerFull, BulkInterrupted
from celeriac.testing.worker import WorkerProcess

pytestmark = pytest.mark.xdist_group("full")
TASKS = 60


@pytest.fixture
def server(tmp_path: Any) -> Generator[PrivateRedis]:
    with PrivateRedis(tmp_path / "redis", options={"include": str(_defaults(tmp_path))}) as redis:
        yield redis


def _defaults(directory: Any) -> Any:
    path = directory / "more.conf"
    path.write_text("maxmemory-policy noeviction\n")
    return path


def memory(server: PrivateRedis) -> int:
    told: Any = server.client.info("memory")
    return int(told["used_memory"])


@pytest.mark.parametrize("pool", ["lane", "prefork", "threads", "solo"])
def test_a_worker_starts_on_a_full_server_and_drains_it(server, pool, tmp_path):
    path = tmp_path / "executions"
    with broker_on(server.url) as broker:
        results = [broker.registry.record.delay(path, str(number)) for number in range(TASKS)]
        server.client.config_set("maxmemory", memory(server) - 100_000)
        with pytest.raises(Exception, match="used memory > 'maxmemory'"):
            server.client.set("anything", "x")
        env = {"ENVIRONMENT": "production"}
        with WorkerProcess("tests.kit.app", redis_url=server.url, pool=pool, env=env) as worker:
            until(lambda: path.exists() and len(path.read_text().splitlines()) >= TASKS)
            assert worker.returncode is None
            until(lambda: not server.client.keys("celeriac.inflight:*"))
            server.client.config_set("maxmemory", 0)
            assert all(result.get(timeout=20) is None for result in results)
    assert sorted(map(int, path.read_text().splitlines())) == list(range(TASKS))


def test_publishers_are_refused_at_the_high_water_mark_and_taken_again_below_it(server):
    with broker_on(server.url, broker_memory_high_water=0.5) as broker:
        broker.registry.ping.delay()
        server.client.config_set("maxmemory", memory(server) * 4)
        until(broker.registry.ping.delay)
        server.client.config_set("maxmemory", int(memory(server) * 1.5))
        until(lambda: not _is_taken(broker.registry))
        with pytest.raises(BrokerFull, match=r"has no memory left for it \(\d+% of its memory is used\)"):
            broker.registry.ping.delay()
        with pytest.raises(BulkInterrupted) as caught:
            broker.registry.ping.enqueue_many([(), ()])
        assert isinstance(caught.value.__cause__, BrokerFull)
        length = server.client.llen("default\x06\x166")
        with pytest.raises(OperationalError, match="has no memory left"):  # what Celery makes of it
            broker.app.send_task("ping")
        assert server.client.llen("default\x06\x166") == length
        server.client.config_set("maxmemory", 0)
        until(lambda: _is_taken(broker.registry))


def test_without_a_limit_of_memory_nobody_is_refused(server):
    with broker_on(server.url, broker_memory_high_water=0.000001) as broker:
        until(lambda: [broker.registry.ping.delay() for _ in range(20)])


def test_where_info_is_forbidden_nobody_is_refused(server):
    server.client.config_set("maxmemory", 1 << 30)
    server.client.acl_setuser(
        "mute", enabled=True, passwords=["+word"], keys=["*"], channels=["*"], categories=["+@all"], commands=["-info"]
    )
    url = f"redis://mute:word@127.0.0.1:{server.port}/0"
    with broker_on(url, broker_memory_high_water=0.0001) as broker:
        deadline = time.monotonic() + 1.5
        while time.monotonic() < deadline:
            broker.registry.ping.delay()


def test_what_a_worker_publishes_is_let_through(server, tmp_path):
    """Else a broker that is full of tasks which hand over to others could not be emptied."""
    env = {"ENVIRONMENT": "production", "CELERY_BROKER_MEMORY_HIGH_WATER": "0.0001"}
    with broker_on(server.url) as broker:
        server.client.config_set("maxmemory", 1 << 30)
        with WorkerProcess("tests.kit.app", redis_url=server.url, env=env):
            chain = broker.registry.fetch_data.s("u").then(broker.registry.process_data, factor=2)
            for _ in range(3):
                assert chain.delay().get(timeout=20) == 12
                assert broker.registry.flaky.delay(2).get(timeout=20) == 3
                time.sleep(0.4)


def _is_taken(registry: Any) -> bool:
    try:
        registry.ping.delay()
    except BrokerFull:
        return False
    return True
