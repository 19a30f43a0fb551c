"""The image that the Dockerfile makes."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from tests.docker.engine import ROOT, inspect, run

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def inside(image: str, *command: str) -> str:
    """What a command prints in a container as confined as compose makes it."""
    confined = ("--rm", "--network=none", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true")
    return run("docker", "run", *confined, image, *command).strip()


@pytest.fixture(scope="module")
def config(image: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(inspect(image, "{{json .Config}}"))
    return config


def test_it_runs_as_a_user_who_is_not_root_and_whose_number_says_so(image, config):
    assert config["User"] == "10001:10001"
    assert inside(image, "id", "-u") == "10001"


def test_only_the_place_for_state_belongs_to_the_user(image):
    places = ("/app", "/opt/venv", "/var/lib/celeriac")
    assert inside(image, "find", *places, "-not", "-user", "root") == "/var/lib/celeriac"
    assert inside(image, "find", *places, "-not", "-type", "l", "-perm", "/o=w") == ""


def test_it_holds_src_and_nothing_else_of_the_checkout(image):
    packages = sorted(entry.name for entry in (ROOT / "src").iterdir() if entry.name != "__pycache__")
    assert inside(image, "ls", "-A", "/app").split() == ["src"]
    assert inside(image, "ls", "-A", "/app/src").split() == packages


@pytest.mark.parametrize("code", ["import pip", "import uv", "import pytest"])
def test_it_carries_no_tool_that_building_or_testing_needs(image, code):
    with pytest.raises(RuntimeError, match="No module named"):
        inside(image, "python", "-c", code)


@pytest.mark.parametrize("tool", ["gcc", "make", "git"])
def test_it_carries_no_compiler(image, tool):
    with pytest.raises(RuntimeError, match="ended with"):
        inside(image, "sh", "-c", f"command -v {tool}")


def test_its_program_is_celery_itself_so_that_signals_reach_it(config):
    assert not config.get("Entrypoint")
    assert config["Cmd"] == ["celery", "--app=delivery.tasks.app", "worker"]
    assert config["StopSignal"] == "SIGTERM"


def test_it_holds_no_setting_of_whoever_built_it(config):
    names = {variable.partition("=")[0] for variable in config["Env"]}
    assert not {name for name in names if name.startswith(("REDIS", "TEST_")) or "PASSWORD" in name}


def test_it_runs_the_commands_that_look_after_a_service(image):
    assert len(inside(image, "python", "-m", "celeriac", "secret")) == 44
    for command in ("keys", "audit", "dead", "db", "probe"):
        assert "Usage: celeriac" in inside(image, "python", "-m", "celeriac", command, "--help")


def test_nothing_is_compiled_again_at_start(image):
    code = (
        "import celeriac, delivery.tasks.registry as r; print(r.__cached__, __import__('os').path.exists(r.__cached__))"
    )
    assert inside(image, "python", "-c", code).endswith("True")


def test_without_redis_url_it_says_what_to_set(image):
    command = ("docker", "run", "--rm", "--network=none", image)
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode != 0
    assert "REDIS_URL is not set" in said.stderr
