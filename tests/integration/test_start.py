"""Which brokers a worker starts on."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import free_port

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import UnsafeBroker
from celeriac.testing.embedded import EmbeddedRedis
from celeriac.testing.worker import WorkerProcess
from celeriac.worker.start import check_broker

pytestmark = pytest.mark.xdist_group("start")
LOSSY = {"aof": False, "policy": "allkeys-lru"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Generator[PrivateRedis]:
    """A server whose settings the tests change."""
    directory = tmp_path_factory.mktemp("redis")
    with PrivateRedis(directory) as redis:
        yield redis


@pytest.fixture
def lossy(server):
    server.client.config_set("appendonly", "no")
    server.client.config_set("maxmemory-policy", "allkeys-lru")
    yield server
    server.client.config_set("appendonly", "yes")
    server.client.config_set("maxmemory-policy", "noeviction")


def app_on(url: str, **options: Any) -> Any:
    return create_celery_app(CeleryAppConfig.from_mapping({"broker_url": url, "environment": "production", **options}))


def celery(url: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """``celery worker`` in production."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = {**os.environ, "PYTHONPATH": path, "REDIS_URL": url, "ENVIRONMENT": "production", **env}
    command = [sys.executable, "-m", "celery", "--app=tests.kit.functions", "worker", *arguments]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_server_that_keeps_its_tasks_is_taken_without_a_word(server, caplog):
    check_broker(app_on(server.url))
    assert not caplog.records


def test_the_servers_of_development_and_of_tests_are_taken_in_production(tmp_path):
    with EmbeddedRedis(tmp_path) as redis:
        check_broker(app_on(redis.url))


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("appendonly", "no", r"keeps nothing on disk \(appendonly is no\)"),
        ("maxmemory-policy", "allkeys-lru", r"drops data \(maxmemory-policy is allkeys-lru\)"),
        ("maxmemory-policy", "volatile-ttl", r"drops data \(maxmemory-policy is volatile-ttl\)"),
    ],
)
def test_a_server_that_would_lose_tasks_is_refused_with_the_lines_that_mend_it(server, setting, value, said):
    before = server.client.config_get(setting)[setting]
    server.client.config_set(setting, value)
    try:
        with pytest.raises(UnsafeBroker, match=said) as caught:
            check_broker(app_on(server.url))
    finally:
        server.client.config_set(setting, before)
    text = str(caught.value)
    lines = [line.strip() for line in text.splitlines()]
    assert f"CONFIG SET {setting} {before}" in lines
    assert "CONFIG REWRITE" in lines
    assert f"{setting} {before}" in lines
    assert "CELERY_BROKER_ALLOW_UNSAFE=true" in text


def test_the_lines_that_it_says_mend_it(lossy):
    with pytest.raises(UnsafeBroker) as caught:
        check_broker(app_on(lossy.url))
    for line in str(caught.value).splitlines():
        if line.strip().startswith("CONFIG SET"):
            lossy.client.execute_command(*line.split())
    check_broker(app_on(lossy.url))


@pytest.mark.parametrize("options", [{"environment": "development"}, {"broker_allow_unsafe": True}])
def test_outside_of_production_and_where_it_is_asked_for_it_is_a_warning(lossy, caplog, options):
    check_broker(app_on(lossy.url, **options))
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "can lose tasks" in record.getMessage()


def test_no_text_shows_the_password(server):
    server.client.acl_setuser("owner", enabled=True, passwords=["+hidden-text"], keys=["*"], categories=["+@all"])
    server.client.config_set("appendonly", "no")
    try:
        with pytest.raises(UnsafeBroker) as caught:
            check_broker(app_on(f"redis://owner:hidden-text@127.0.0.1:{server.port}/0"))
    finally:
        server.client.config_set("appendonly", "yes")
        server.client.acl_deluser("owner")
    assert "hidden-text" not in str(caught.value)


def test_where_config_is_forbidden_info_tells_the_same(lossy):
    lossy.client.acl_setuser(
        "managed", enabled=True, passwords=["+word"], keys=["*"], categories=["+@all"], commands=["-config"]
    )
    with pytest.raises(UnsafeBroker, match=r"appendonly is no\); when it is full.*allkeys-lru"):
        check_broker(app_on(f"redis://managed:word@127.0.0.1:{lossy.port}/0"))
    lossy.client.config_set("appendonly", "yes")
    lossy.client.config_set("maxmemory-policy", "noeviction")
    check_broker(app_on(f"redis://managed:word@127.0.0.1:{lossy.port}/0"))


def test_a_renamed_config_is_as_good_as_a_forbidden_one(tmp_path):
    more = tmp_path / "more.conf"
    more.write_text("rename-command CONFIG hidden\n")
    lossy = PrivateRedis(tmp_path, aof=False, options={"include": str(more)})
    with lossy, pytest.raises(UnsafeBroker, match="appendonly is no"):
        check_broker(app_on(lossy.url))


def test_a_server_that_tells_nothing_is_taken_with_a_warning(lossy, caplog):
    lossy.client.acl_setuser(
        "mute", enabled=True, passwords=["+word"], keys=["*"], categories=["+@all"], commands=["-config", "-info"]
    )
    check_broker(app_on(f"redis://mute:word@127.0.0.1:{lossy.port}/0"))
    (record,) = caplog.records
    assert "does not tell appendonly and maxmemory-policy" in record.getMessage()


class _Old(socketserver.StreamRequestHandler):
    """What Redis 6.0 answers; none of the servers here is that old."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self._word() for _ in range(int(line[1:]))]
            pairs = {b"appendonly": b"yes", b"maxmemory-policy": b"noeviction"}
            known = {b"HELLO": [b"server", b"redis", b"version", b"6.0.16"]}
            answer = known.get(words[0]) or [words[-1], pairs.get(words[-1], b"")]
            self.wfile.write(b"*%d\r\n" % len(answer) + b"".join(b"$%d\r\n%s\r\n" % (len(x), x) for x in answer))

    def _word(self) -> bytes:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:-2]


@contextmanager
def old_server() -> Generator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Old) as old:
        old.daemon_threads = True
        threading.Thread(target=old.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{old.server_address[1]}/0"
        old.shutdown()


def test_a_server_that_is_too_old_is_refused():
    with old_server() as url, pytest.raises(UnsafeBroker, match=r"its version 6\.0 is older than 6\.2"):
        check_broker(app_on(url))


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_the_worker_ends_with_an_error_that_can_be_read(lossy, pool):
    with celery(lossy.url, f"--pool={pool}", CELERY_WORKER_POOL=pool) as worker:
        said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 1
    assert "CONFIG SET appendonly yes" in said
    assert "Traceback" not in said


def test_the_worker_starts_with_a_loud_warning_where_it_is_asked_for(lossy):
    env = {"ENVIRONMENT": "production", "CELERY_BROKER_ALLOW_UNSAFE": "true"}
    with WorkerProcess("tests.kit.functions", redis_url=lossy.url, pool="solo", env=env) as worker:
        assert "WARNING" in worker.log
        assert "can lose tasks" in worker.log


def test_a_broker_that_starts_after_its_worker_is_checked_as_well(tmp_path):
    redis = PrivateRedis(tmp_path, aof=False)
    with celery(redis.url, "--pool=solo") as worker:
        assert worker.stdout is not None
        seen: list[str] = []
        while "does not answer" not in "".join(seen[-1:]):
            seen.append(worker.stdout.readline())
            assert seen[-1], seen
        with redis:
            rest, _ = worker.communicate(timeout=30)
    assert worker.returncode == 1
    assert "CONFIG SET appendonly yes" in rest


def test_an_app_that_is_not_ours_to_judge_is_left_alone():
    check_broker(app_on("memory://"))
    check_broker(app_on(f"redis://127.0.0.1:{free_port()}/0", broker_connection_retry_on_startup=False))
