"""The process that renews a worker's lease beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator

import psutil
import pytest
from redis import Redis
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import until

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.worker.leasing import Leasing
from celeriac.worker.resident.guardian import Guardian, is_stopped

LEASES = "celeriac.leases"
LEASE = 0.6


def leasing_on(url: str, **options: object) -> Leasing:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url, "broker_lease": LEASE, **options}))
    leasing = Leasing.of(app.conf)
    assert leasing is not None
    return leasing


@pytest.fixture
def redis(redis_url: str) -> Generator[Redis]:
    with Redis.from_url(redis_url) as redis:
        yield redis
        redis.delete(LEASES)


@pytest.fixture
def guardian(redis_url: str) -> Generator[Guardian]:
    guardian = Guardian(leasing_on(redis_url))
    yield guardian
    guardian.close()


def ends(redis: Redis, owner: str) -> Callable[[], float]:
    """When its lease ends, asked for each time."""
    return lambda: redis.zscore(LEASES, owner) or 0.0


def test_a_lease_is_renewed_time_and_again(redis, guardian):
    redis.zadd(LEASES, {"me": 1, "other": 1})
    guardian.guard(["me"])
    first = until(lambda: (now := ends(redis, "me")()) > 1 and now)
    until(lambda: ends(redis, "me")() > first)
    assert ends(redis, "other")() == 1


def test_the_last_that_was_named_counts(redis, guardian):
    redis.zadd(LEASES, {"former": 1, "later": 1})
    guardian.guard(["former"])
    guardian.guard(["later"])
    until(lambda: ends(redis, "later")() > 1)
    assert ends(redis, "former")() == 1


def test_a_lease_that_is_gone_is_not_made_again(redis, guardian):
    redis.zadd(LEASES, {"there": 1})
    guardian.guard(["gone", "there"])
    until(lambda: ends(redis, "there")() > 1)
    assert redis.zscore(LEASES, "gone") is None


def test_it_leaves_with_the_worker_and_at_once(guardian):
    process = psutil.Process(guardian.pid)
    guardian.close()
    assert not process.is_running()
    guardian.close()  # as often as one likes
    guardian.guard(["nobody"])


def test_the_terminals_signals_do_not_end_it(redis, guardian):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        os.kill(guardian.pid, number)
    redis.zadd(LEASES, {"me": 1})
    guardian.guard(["me"])
    until(lambda: ends(redis, "me")() > 1)


def test_a_server_that_comes_back_is_told_again(tmp_path):
    with PrivateRedis(tmp_path / "redis") as server:
        guardian = Guardian(leasing_on(server.url))
        try:
            server.client.zadd(LEASES, {"me": 1})
            guardian.guard(["me"])
            until(lambda: ends(server.client, "me")() > 1)
            server.kill()
            server.start()
            server.client.zadd(LEASES, {"me": 1})
            until(lambda: ends(server.client, "me")() > 1)
        finally:
            guardian.close()


WORKER = """
import sys
from tests.integration.test_guardian import leasing_on
from celeriac.worker.resident.guardian import Guardian
guardian = Guardian(leasing_on(sys.argv[1]))
guardian.guard(["me"])
print(guardian.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def worker(redis_url: str) -> Generator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A process that has a guardian, and the guardian."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, redis_url], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, psutil.Process(int(process.stdout.readline()))
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells that a process is stopped")
def test_a_worker_that_is_stopped_is_not_renewed_until_it_goes_on(redis, redis_url, worker):
    process, _ = worker
    redis.zadd(LEASES, {"me": 1})
    until(lambda: ends(redis, "me")() > 1)
    os.kill(process.pid, signal.SIGSTOP)
    until(lambda: is_stopped(process.pid))
    redis.delete(LEASES)
    redis.zadd(LEASES, {"me": 1, "witness": 1})
    witness = Guardian(leasing_on(redis_url))
    try:
        witness.guard(["witness"])
        first = until(lambda: (now := ends(redis, "witness")()) > 1 and now)
        until(lambda: ends(redis, "witness")() > first + 2 * LEASE * 1000)  # as long as it takes to be sure
    finally:
        witness.close()
    assert ends(redis, "me")() == 1
    os.kill(process.pid, signal.SIGCONT)
    until(lambda: ends(redis, "me")() > 1)


def test_it_ends_with_a_worker_that_was_killed(worker):
    process, guardian = worker
    process.kill()
    until(lambda: not guardian.is_running() or guardian.status() == psutil.STATUS_ZOMBIE)


def test_who_has_no_leases_has_nothing_to_renew():
    app = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "amqp://localhost//"}))
    assert Leasing.of(app.conf) is None
