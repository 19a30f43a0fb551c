"""The same transport over TLS, for a user who may do little, on a socket of the file system, and on Valkey."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import free_port, until
from tests.integration.conftest import broker_on
from tests.integration.transport.conftest import app_on
from tests.integration.transport.consumer import consuming
from tests.kit.certificates import for_localhost

from celeriac import gather
from celeriac.history.deadletters import DeadLetters
from celeriac.testing.embedded import find_redis_server
from celeriac.testing.worker import WorkerProcess

pytestmark = pytest.mark.xdist_group("transport")

# What a worker needs that also publishes, reads results and looks after dead letters: see docs/how-to/production.md.
COMMANDS = (
    "ping hello select client|tracking info time evalsha eval script|load script|exists "
    "lpush rpush rpop brpop llen lpos exists del hset hget hmget hgetall hkeys hdel hincrby hexists expire pexpire "
    "zadd zrem zscore zrange zrangebyscore zcard zcount sadd srem smembers sismember "
    "set get getrange setex mget incr publish "
    "subscribe unsubscribe psubscribe punsubscribe multi exec watch unwatch"
)


def a_round(app: Celery, url: str) -> None:
    """Send, claim, park, acknowledge and leave."""
    app.tasks["add"].delay(1, 2)
    app.tasks["add"].apply_async((3, 4), countdown=0.3)
    with consuming(app) as consumer:
        consumer.drain(10, until=lambda: len(consumer.got) == 2)
        assert [message.payload[0] for message in consumer.got] == [[1, 2], [3, 4]]
        for message in consumer.got:
            message.ack()
        consumer.channel.flush()
        assert consumer.channel.intake.broker.held(consumer.channel.owner, ()) == []


@contextmanager
def serving(directory: Path, **options: str) -> Generator[PrivateRedis]:
    with PrivateRedis(directory, options={name.replace("_", "-"): value for name, value in options.items()}) as server:
        yield server


def test_over_tls_with_the_certificate_checked(tmp_path):
    if b"tls-port" not in find_redis_server().read_bytes():
        pytest.skip("this redis-server was built without TLS: install another to run this")
    crt, key = for_localhost(tmp_path)
    port = free_port()
    files = {"tls_cert_file": str(crt), "tls_key_file": str(key), "tls_ca_cert_file": str(crt)}
    with serving(tmp_path / "data", tls_port=str(port), tls_auth_clients="no", **files):
        url = f"rediss://localhost:{port}/0?ssl_cert_reqs=required&ssl_ca_certs={crt}"
        with app_on(url) as app:
            a_round(app, url)


def test_for_a_user_who_may_do_only_what_is_documented(tmp_path):
    with serving(tmp_path / "data") as server:
        server.client.acl_setuser(
            "worker",
            enabled=True,
            passwords=["+geheim"],
            categories=["-@all"],
            commands=[f"+{command}" for command in COMMANDS.split()],
            keys=["*"],
            channels=["*"],
        )
        url = server.url.replace("redis://", "redis://worker:geheim@")
        with app_on(url) as app:
            a_round(app, url)


def test_a_worker_of_such_a_user(tmp_path):
    with serving(tmp_path / "data") as server:
        commands = [f"+{command}" for command in COMMANDS.split()]
        server.client.acl_setuser("worker", enabled=True, nopass=True, commands=commands, keys=["*"], channels=["*"])
        url = server.url.replace("redis://", "redis://worker:x@")
        with WorkerProcess("tests.kit.app", redis_url=url), broker_on(url) as broker:
            registry, letters = broker.registry, DeadLetters(broker.app)
            parts = gather(registry.add.s(1, 2), registry.add.s(3, 4))
            assert parts.then(registry.aggregate_results).delay().get(timeout=20) == 10
            assert registry.flaky.delay(1).get(timeout=20) == 2
            assert len(registry.ping.enqueue_many([()] * 3)) == 3
            broker.app.send_task("no.such.task")
            until(lambda: letters.figures().count == 1)
            letters.replay_some()
        refused = {entry["object"] for entry in server.client.acl_log()}
        assert refused <= {"config|get"}, "which a worker asks first, and INFO then"


def test_where_the_server_does_not_tell_who_waits(tmp_path):
    """An ACL or a proxy without ``CLIENT TRACKING``: workers look again and again."""
    with serving(tmp_path / "data") as server:
        server.client.acl_setuser(
            "worker",
            enabled=True,
            nopass=True,
            categories=["+@all"],
            commands=["-client"],
            keys=["*"],
            channels=["*"],
        )
        url = server.url.replace("redis://", "redis://worker:x@")
        with app_on(url) as app, consuming(app) as consumer:
            consumer.drain(0.2)
            assert not consumer.channel.intake._tracking
            app.tasks["add"].delay(1, 2)
            assert consumer.one().payload[0] == [1, 2]


def test_on_a_socket_of_the_file_system(tmp_path):
    path = tmp_path / "redis.sock"
    with serving(tmp_path / "data", unixsocket=str(path)):
        url = f"redis+socket://{path}"
        with app_on(url) as app:
            a_round(app, url)


def test_on_valkey(tmp_path, monkeypatch):
    if not (valkey := shutil.which("valkey-server")):
        pytest.skip("valkey-server is not on PATH: install Valkey to run this")
    monkeypatch.setattr("tests.faults.harness.private_redis.find_redis_server", lambda: Path(valkey))
    with serving(tmp_path / "data") as server, app_on(server.url) as app:
        a_round(app, server.url)
