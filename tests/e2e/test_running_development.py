from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from celery import Celery
from tests.e2e.made import Made, copy_checkout
from tests.kit.clients import client

from celeriac.testing.embedded import EmbeddedRedis, answers

pytestmark = pytest.mark.timeout(180)

WORKER_READY = r"worker-\d+@\S+ ready\."
HTTP_READY = r"Uvicorn running on"
BEAT_READY = r"beat: Starting"


@pytest.fixture
def checkout(tmp_path):
    return copy_checkout(tmp_path)


def edit(checkout, name: str) -> None:
    path = checkout / "src" / name
    path.write_text(path.read_text() + "\n# edited\n")


def url_in(checkout: Path) -> str:
    return (checkout / ".data" / "redis.url").read_text().strip()


def executed(url: str, task: str) -> object:
    """The result of a task that whatever worker runs on this server has executed."""
    with client(Celery(broker=url, backend=url)) as app:
        return app.send_task(task, queue="default").get(timeout=30)


@pytest.mark.proves("S001-12", "S004-2")
def test_make_dev_runs_everything_on_one_screen_and_ctrl_c_stops_all(checkout):
    with Made(checkout, "dev") as dev:
        dev.wait_for(WORKER_READY)
        dev.wait_for(BEAT_READY)
        url = url_in(checkout)
        assert executed(url, "ping") == {"result": "pong"}
        dev.interrupt()
    table, _ = re.split(r"\n\s*\n", dev.output, maxsplit=1)
    for name in ("redis", "app", "api", "worker", "beat", "http"):
        assert re.search(rf"^{name}\b", table, re.MULTILINE)
    assert "log level INFO" in table
    assert str(urlsplit(url).password) not in dev.output
    assert not answers(url)
    assert not EmbeddedRedis(checkout / ".data").alive
    assert not (checkout / ".data" / "redis.url").exists()


@pytest.mark.proves("M-6", "S003-3")
def test_make_celery_dev_starts_a_worker_that_starts_again_when_the_code_changes(checkout):
    with Made(checkout, "celery-dev") as worker:
        worker.wait_for(WORKER_READY)
        edit(checkout, "core/health/service.py")
        worker.wait_for(WORKER_READY, times=2)
        assert "service.py changed" in worker.output
        assert executed(url_in(checkout), "ping") == {"result": "pong"}
        worker.interrupt()
    assert "Warm shutdown" in worker.output


@pytest.mark.proves("M-6", "S003-4")
def test_make_celery_beat_dev_starts_beat_that_starts_again_when_the_schedule_changes(checkout):
    with Made(checkout, "celery-beat-dev") as beat:
        beat.wait_for(BEAT_READY)
        edit(checkout, "delivery/tasks/schedule.py")
        beat.wait_for(BEAT_READY, times=2)
        beat.interrupt()
    assert not EmbeddedRedis(checkout / ".data").alive


def test_make_http_dev_serves_on_this_machine_and_starts_again_when_the_code_changes(checkout):
    with Made(checkout, "http-dev") as http:
        http.wait_for(HTTP_READY)
        address = re.search(r"http://127\.0\.0\.1:\d+", http.output)
        assert address is not None
        with httpx.Client(base_url=address[0], timeout=30) as client:
            assert client.get("/healthz").json() == {"status": "ok"}
            sent = client.post("/api/v1/tasks/ping")
            assert sent.status_code == 202
            edit(checkout, "core/health/service.py")
            http.wait_for(HTTP_READY, times=2)
            assert client.get("/celery/status").json()["status"] == "degraded"
        assert "HTTP_AUTH IS OFF" in http.output
        http.interrupt()
    assert not EmbeddedRedis(checkout / ".data").alive


@pytest.mark.proves("S002-27")
def test_one_process_may_be_worker_and_beat_in_development(checkout):
    with Made(checkout, "celery-worker-beat-dev") as both:
        both.wait_for(WORKER_READY)
        both.wait_for(BEAT_READY)
        assert executed(url_in(checkout), "ping") == {"result": "pong"}
        both.interrupt()


def test_two_terminals_share_one_redis(checkout):
    with Made(checkout, "celery-dev") as worker:
        worker.wait_for(WORKER_READY)
        url = url_in(checkout)
        with Made(checkout, "celery-beat-dev") as beat:
            beat.wait_for(BEAT_READY)
            assert url_in(checkout) == url
            worker.interrupt()
            assert answers(url)
            beat.interrupt()
    assert not answers(url)


def test_redis_url_names_the_server_and_none_is_started(checkout, redis_url):
    with Made(checkout, "dev", env={"REDIS_URL": redis_url}) as dev:
        dev.wait_for(WORKER_READY)
        assert "from REDIS_URL" in dev.output
        assert executed(redis_url, "ping") == {"result": "pong"}
        dev.interrupt()
    assert not (checkout / ".data" / "redis.lock").exists()
    assert f":{urlsplit(redis_url).password}@" not in dev.output


def test_a_process_that_dies_takes_the_others_down_with_a_clear_line(checkout):
    (checkout / "src/delivery/tasks/schedule.py").write_text("raise SystemExit(3)\n")
    with Made(checkout, "dev") as dev:
        assert dev.wait() != 0
    assert re.search(r"(worker|beat|http) ended with \d+: stopping the others", dev.output)
    assert not EmbeddedRedis(checkout / ".data").alive


def test_an_edit_that_breaks_the_code_is_waited_out(checkout):
    source = checkout / "src/core/health/service.py"
    whole = source.read_text()
    with Made(checkout, "celery-dev") as worker:
        worker.wait_for(WORKER_READY)
        source.write_text(whole + "\nbroken =\n")
        worker.wait_for("after a change; waiting for the next one")
        source.write_text(whole)
        worker.wait_for(WORKER_READY, times=2)
        worker.interrupt()


@pytest.mark.proves("S001-11")
def test_make_demo_walks_through_the_registry(checkout):
    with Made(checkout, "dev") as dev:  # which has another database and no mail server, and must not get its tasks
        dev.wait_for(WORKER_READY)
        (checkout / ".env").write_text("ENVIRONMENT=production\nMAIL_USERNAME=ada\nMAIL_PASSWORD=of a real server\n")
        with Made(checkout, "demo") as demo:
            assert demo.wait() == 0
        assert answers(url_in(checkout))
        dev.interrupt()
    assert not re.search(r"example\.add|no\.such\.task", dev.output)
    current = [int(number) for number in re.findall(r"(\d+) of 9600 rows", demo.output)]
    assert current
    assert current == sorted(current)
    for shown in ("{'result': 'pong'}", "InvalidArguments", "{'processed': 9600}", "RETRY", "unknown-task"):
        assert shown in demo.output
    for shown in ("'Welcome!' for ada@example.org", '"message": "Complete!"', "complete=16", "'members': 3"):
        assert shown in demo.output
    exported = next((checkout / ".data" / "demo" / "exports").glob("user-*.csv"))
    assert len(exported.read_text().splitlines()) == 20_001
    assert not EmbeddedRedis(checkout / ".data" / "demo-redis").alive
