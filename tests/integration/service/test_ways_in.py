"""From every way in, a task is called through the registry, and no controller is built there."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from delivery.tasks.registry import TasksRegistry

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(90)]
ROOT = Path(__file__).parents[3]
PONG = {"result": "pong"}
COMMAND = """
import asyncio
from delivery.tasks.registry import TasksRegistry

def refuse(self):
    raise AssertionError("a process that only calls tasks builds no controller")

for definition in TasksRegistry.definitions().values():
    definition.controller.__init__ = refuse

from ioc.container import get_container

async def main():
    return await (await registry.ping.adelay()).aget(timeout=30)

registry = get_container().resolve(TasksRegistry)
print(registry.ping.delay().get(timeout=30), asyncio.run(main()))
"""


@pytest.mark.proves("M-5")
def test_the_http_process_calls_a_task_by_its_route_and_by_the_registry(home):
    answer = home.http.post("/api/v1/tasks/ping")
    assert answer.status_code == 202
    assert home.ended(answer.json()["task_id"]).result == PONG
    # The same process, in a thread and in a coroutine.
    assert home.registry.ping.delay().get(timeout=30) == PONG

    async def main() -> object:
        return await (await home.registry.ping.adelay()).aget(timeout=30)

    assert asyncio.run(main()) == PONG


@pytest.mark.proves("M-5")
def test_a_command_calls_a_task_by_the_registry(home):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "REDIS_URL": home.url, "ENVIRONMENT": "test"}
    env["DATABASE_URL"] = home.database
    done = subprocess.run([sys.executable, "-c", COMMAND], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith(f"{PONG} {PONG}"), done.stderr


@pytest.mark.proves("M-5")
def test_no_way_in_but_the_worker_names_a_controller():
    ways = [path for path in (ROOT / "src/delivery").iterdir() if path.is_dir() and path.name != "tasks"]
    assert {"http", "bot", "demo"} <= {path.name for path in ways}
    files = [each for way in (*ways, ROOT / "src/celeriac/cli") for each in way.rglob("*.py")]
    assert [str(each) for each in files if _names_a_controller(each)] == []
    assert _names_a_controller(ROOT / "src/delivery/tasks/registry.py")


def _names_a_controller(path: Path) -> bool:
    modules = {definition.function.__module__ for definition in TasksRegistry.definitions().values()}
    named: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            named.add(node.module or "")
        elif isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
    return bool(named & {*modules, "delivery.tasks.controllers"})
