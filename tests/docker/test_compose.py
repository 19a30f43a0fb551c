"""The compose file on a real engine: started, used, stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest
from tests.docker.engine import ROOT, Project, argv, inspect, run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

REGISTRY = """
import json, sys
from delivery.tasks.registry import TasksRegistry
from ioc.container import get_container
registry = get_container().resolve(TasksRegistry)
"""
READY = r"celery@\w+ ready\."
SECONDS_UNTIL_READY = 60
SECONDS_UNTIL_DUE = 90


@pytest.mark.proves("S003-11")
def test_compose_starts_the_worker_with_the_agreed_arguments(program):
    service = Project(program).config()["services"]["celery-worker"]
    expected = ["celery", "--app=delivery.tasks.app", "worker", "--loglevel=INFO", "--concurrency=4"]
    assert argv(service["command"]) == expected


@pytest.mark.proves("S003-12")
def test_compose_starts_beat_with_the_agreed_arguments(program):
    service = Project(program).config()["services"]["celery-beat"]
    assert argv(service["command"]) == ["celery", "--app=delivery.tasks.app", "beat", "--loglevel=INFO"]


@pytest.mark.proves("S003-13")
@pytest.mark.parametrize("name", ["celery-worker", "celery-beat"])
def test_compose_hands_the_log_level_and_format_on(program, name):
    variables = {"LOGGING_LEVEL": "WARNING", "LOGGING_FORMAT": "console"}
    service = Project(program, variables=variables).config()["services"][name]
    assert "--loglevel=WARNING" in argv(service["command"])
    assert service["environment"]["LOGGING_LEVEL"] == "WARNING"
    assert service["environment"]["LOGGING_FORMAT"] == "console"


def test_the_page_on_containers_shows_how_to_open_what_is_closed(program, tmp_path):
    page = (ROOT / "docs/how-to/containers.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r'^```yaml title="docker-compose.override.yml"\n(.+?)^```', page, re.MULTILINE | re.DOTALL)
    override = tmp_path / "docker-compose.override.yml"
    override.write_text(shown, encoding="utf-8")
    config = Project(program, overrides=[override]).config()
    assert set(config["services"]["celery-worker"]["networks"]) == {"tasks", "outside"}
    assert set(config["services"]["redis"]["networks"]) == {"tasks", "outside"}
    assert set(config["services"]["celery-beat"]["networks"]) == {"tasks"}
    assert not (config["networks"]["outside"] or {}).get("internal", False)


def test_compose_refuses_to_start_without_a_password(program):
    with pytest.raises(RuntimeError, match="long random text"):
        Project(program, password="").config()


@pytest.mark.proves("S003-6")
def test_a_ping_through_the_registry_is_answered(stack):
    said = stack.python(REGISTRY + "print(json.dumps(registry.ping.delay().get(timeout=60)))")
    assert json.loads(said) == {"result": "pong"}


@pytest.mark.parametrize("service", ["celery-worker", "celery-beat"])
def test_celery_runs_confined(stack, service):
    stack.wait_for_log(service, READY if service == "celery-worker" else "beat: Starting", SECONDS_UNTIL_READY)
    status = stack.compose("exec", "-T", service, "cat", "/proc/1/status")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    assert fields["Uid"].split() == ["10001"] * 4
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"
    with pytest.raises(RuntimeError, match="Read-only file system"):
        stack.compose("exec", "-T", service, "touch", "/app/anything")


@pytest.mark.proves("S000-44")
@pytest.mark.parametrize("service", ["redis", "celery-worker", "celery-beat"])
def test_nothing_is_published_and_nothing_leads_out(stack, service):
    assert inspect(stack.container(service), "{{json .HostConfig.PortBindings}}") in {"{}", "null"}
    # An older engine gives even an internal network a default route and drops what follows it: so ask the engine.
    (network,) = json.loads(inspect(stack.container(service), "{{json .NetworkSettings.Networks}}"))
    assert run("docker", "network", "inspect", "--format={{.Internal}}", network).strip() == "true"


def test_beat_keeps_its_schedule_where_a_restart_finds_it(stack):
    stack.wait_for_log("celery-beat", "beat: Starting", SECONDS_UNTIL_READY)
    kept = stack.compose("exec", "-T", "celery-beat", "find", "/var/lib/celeriac", "-type", "f")
    assert "celerybeat-schedule" in kept


@pytest.mark.proves("S000-41")
def test_redis_answers_to_its_password_alone(stack):
    wrong = f"redis://:not-{stack.password}@redis:6379/0"
    code = f"import os; os.environ['REDIS_URL'] = {wrong!r}" + REGISTRY + "registry.ping.delay()"
    with pytest.raises(RuntimeError, match="invalid username-password pair") as refused:
        stack.python(code)
    assert f"not-{stack.password}" not in str(refused.value).partition("\n")[2]


def test_no_log_shows_the_password(stack):
    for service in ("redis", "celery-worker", "celery-beat"):
        assert stack.password not in stack.logs(service)


@pytest.mark.proves("S003-12", "S003-13")
def test_beat_sends_the_heartbeat_and_the_worker_answers_it(stack):
    # What it sent and under which id, beat says at the level DEBUG alone.
    (task_id, *_) = stack.wait_for_log("celery-beat", r"ping sent\. id->([0-9a-f-]{36})", SECONDS_UNTIL_DUE)
    assert "Sending due task heartbeat (ping)" in stack.logs("celery-beat")
    stack.wait_for_log("celery-worker", rf"Task ping\[{task_id}\] succeeded", SECONDS_UNTIL_READY)


def test_what_was_sent_outlives_a_restart_of_everything(stack):
    stack.compose("stop", "celery-worker", "celery-beat")
    task_id = stack.compose(
        "run", "--rm", "-T", "--no-deps", "celery-worker", "python", "-c", REGISTRY + "print(registry.ping.delay().id)"
    ).split()[-1]
    stack.compose("restart", "redis")
    stack.up()
    code = (
        REGISTRY + "from celery import Celery\nprint(get_container().resolve(Celery).AsyncResult(sys.argv[1]).get(60))"
    )
    assert stack.python(code, task_id) == "{'result': 'pong'}"


def test_everything_stops_when_asked_and_none_is_killed(stack):
    stack.up()
    stack.wait_for_log("celery-worker", READY, SECONDS_UNTIL_READY)
    containers = {service: stack.container(service) for service in ("celery-beat", "celery-worker", "redis")}
    stack.compose("stop")
    for service, container in containers.items():
        code = int(inspect(container, "{{.State.ExitCode}}"))
        assert code == 0, f"{service} ended with {code}"


@pytest.fixture
def slow_stack(image: str, program: Sequence[str], tmp_path: Path) -> Generator[Project]:
    """The same compose file over the test-suite's own tasks, with a soft shutdown of two seconds."""
    override = tmp_path / "override.yml"
    worker = {
        "command": "celery --app=tests.kit.app worker --loglevel=INFO --concurrency=4",
        "environment": {"PYTHONPATH": "/app/src:/app", "CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT": 2},
        "volumes": [f"{ROOT / 'tests'}:/app/tests:ro"],
    }
    override.write_text(json.dumps({"services": {"celery-worker": worker}}), encoding="utf-8")
    project = Project(program, image, overrides=[override])
    try:
        project.up()
        yield project
    finally:
        project.down()


def test_a_stopped_worker_finishes_what_is_short_and_hands_back_what_is_long(slow_stack):
    kit = "import sys\nfrom tests.kit.app import app\nfrom tests.kit.service import REGISTRY\n"
    slow_stack.wait_for_log("celery-worker", READY, SECONDS_UNTIL_READY)
    sent = slow_stack.python(kit + "print(*(REGISTRY['registry'].sleep.delay(s).id for s in (1.0, 8.0)))")
    short, long = sent.split()
    slow_stack.wait_for_log("celery-worker", rf"Task sleep\[{long}\] received", SECONDS_UNTIL_READY)
    slow_stack.compose("restart", "celery-worker")
    results = slow_stack.python(kit + "print(*(app.AsyncResult(one).get(60) for one in sys.argv[1:]))", short, long)
    assert results.split() == ["1.0", "8.0"]
    said = slow_stack.logs("celery-worker")
    assert said.count(f"Task sleep[{short}] received") == 1
    assert said.count(f"Task sleep[{long}] received") == 2
