from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
from celery import Celery
from tests.e2e.made import ROOT, Made, copy_checkout, make_command
from tests.kit.clients import client

pytestmark = pytest.mark.timeout(180)

READY = r"(celery@\S+) ready\."


@pytest.fixture
def checkout(tmp_path):
    return copy_checkout(tmp_path)


@pytest.fixture
def inspect(redis_url):
    """Asks the one worker that is running, again until it answers: the broker forgets a question that nobody heard."""

    def ask(question: str) -> Any:
        while not (answers := getattr(app.control.inspect(limit=1, timeout=1), question)()):
            pass
        (answer,) = answers.values()
        return answer

    with client(Celery(broker=redis_url, backend=redis_url)) as app:
        yield ask


@pytest.mark.proves("S000-30", "S001-12")
def test_make_celery_worker_runs_four_processes(checkout, redis_url, inspect):
    with Made(checkout, "celery-worker", env={"REDIS_URL": redis_url}) as worker:
        worker.wait_for(READY)
        assert inspect("stats")["pool"]["max-concurrency"] == 4
        assert {queue["name"] for queue in inspect("active_queues")} == {"default", "high_priority", "low_priority"}


@pytest.mark.proves("S000-30", "S000-28", "S004-10")
def test_make_celery_worker_queue_reads_the_queues_it_is_given_and_no_other(checkout, redis_url, inspect):
    queues = "high_priority,low_priority"
    with Made(checkout, "celery-worker-queue", f"QUEUE={queues}", env={"REDIS_URL": redis_url}) as worker:
        worker.wait_for(READY)
        assert {queue["name"] for queue in inspect("active_queues")} == set(queues.split(","))


def test_a_worker_for_some_queues_asks_which(checkout):
    asked = subprocess.run(
        make_command("celery-worker-queue"), cwd=checkout, capture_output=True, text=True, check=False
    )
    assert asked.returncode != 0
    assert "QUEUE=high_priority" in asked.stderr


@pytest.mark.proves("S000-30", "S004-10")
def test_make_celery_beat_sends_what_is_due_with_a_scheduler_that_remembers(checkout, redis_url):
    assert "--scheduler=celery.beat:PersistentScheduler" in (checkout / "Makefile").read_text()
    with Made(checkout, "celery-beat", env={"REDIS_URL": redis_url}) as beat:
        beat.wait_for("beat: Starting")
    assert list((checkout / ".data").glob("celerybeat-schedule*"))


@pytest.mark.proves("S003-13")
def test_logging_level_decides_what_a_worker_says(checkout, redis_url):
    with (
        Made(checkout, "celery-worker", env={"REDIS_URL": redis_url, "LOGGING_LEVEL": "WARNING"}) as worker,
        client(Celery(broker=redis_url, backend=redis_url)) as app,
    ):
        while not app.control.ping(limit=1, timeout=1):  # it may say nothing, so it is asked until it answers
            assert worker.running
        assert app.send_task("ping", queue="default").get(timeout=30) == {"result": "pong"}
    assert "ready." not in worker.output
    assert "succeeded" not in worker.output


def test_without_redis_url_the_worker_says_what_to_set(checkout):
    with Made(checkout, "celery-worker") as worker:
        assert worker.wait() != 0
    assert "REDIS_URL" in worker.output


@pytest.mark.proves("H-7")
def test_no_command_anywhere_uses_the_option_that_celery_refuses(checkout):
    refused = subprocess.run(
        [sys.executable, "-m", "celery", "worker", "--queue=high_priority"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    commands = [
        f"{name}: {line.strip()}"
        for name in tracked
        if name.endswith((".md", ".yml", ".yaml", ".service", ".toml")) or name in {"Makefile", "Dockerfile"}
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
        if re.search(r"celery.*worker.*--queue[= ]", line)
    ]
    assert commands == []


@pytest.mark.proves("H-8", "S002-1")
def test_both_brokers_are_extras_of_ours_and_one_is_no_extra_of_celery():
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"redis", "rabbitmq"} <= ours.keys()
    celerys = importlib.metadata.metadata("celery").get_all("Provides-Extra") or []
    assert "redis" in celerys
    assert "rabbitmq" not in celerys


@pytest.mark.proves("M-3")
@pytest.mark.parametrize(
    "name", ["src", "tests", "docs", "mkdocs.yml", "docker-compose.yml", "Makefile", "pyproject.toml"]
)
def test_the_checkout_has_it_at_its_top(name):
    assert (ROOT / name).exists()
