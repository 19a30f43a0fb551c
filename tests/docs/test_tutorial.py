"""A newcomer who follows the pages gets what they promise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, Block, blocks

from celeriac.testing.worker import WorkerProcess

TUTORIAL = ROOT / "docs/tutorials/first-celery-task.md"
TESTING = ROOT / "docs/testing/celery-tests.md"


@pytest.mark.proves("S003-14")
def test_the_tutorial_leads_from_a_checkout_to_a_task_of_ones_own_that_a_worker_runs(redis_url: str, tmp_path: Path):
    shutil.copytree(ROOT / "src", tmp_path / "src")  # with its bytecode
    for block in blocks(TUTORIAL):
        if block.title:
            _follow(block, tmp_path)
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "src"), str(ROOT)]), "REDIS_URL": redis_url}

    with WorkerProcess("delivery.tasks.app", redis_url=redis_url, pool="threads", env=environment):
        said = _python(
            "from pathlib import Path; from tests.docs.blocks import run_python;"
            f"print(run_python(Path({str(_without_titles(tmp_path))!r})))",
            environment,
        )
    assert said.strip() == "6"

    _pytest(tmp_path / "tests", environment)


def test_the_tests_of_the_testing_page_pass(tmp_path: Path):
    for block in blocks(TESTING):
        if block.title:
            _follow(block, tmp_path)

    _pytest(tmp_path / "tests", {"PYTHONPATH": str(ROOT / "src")})


def test_the_tutorial_needs_one_method_and_one_registry_line():
    changed = {block.title: _added(block) for block in blocks(TUTORIAL) if block.language == "diff"}

    assert list(changed) == ["src/delivery/tasks/controllers/example.py", "src/delivery/tasks/registry.py"]
    assert len(changed["src/delivery/tasks/registry.py"]) == 1
    assert sum("@task" in line for line in changed["src/delivery/tasks/controllers/example.py"]) == 1


def _follow(block: Block, directory: Path) -> None:
    """Do to the file of the block's title what the block says: write it, or change it."""
    file = directory / block.title
    if block.language != "diff":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")
        return
    lines = block.text.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{block.title} has no such place:\n{before}"
    file.write_text(text.replace(before, after), encoding="utf-8")


def _added(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if line.startswith("+")]


def _without_titles(directory: Path) -> Path:
    """The tutorial's sessions alone: its files are written already."""
    page = directory / "sessions.md"
    sessions = [block.text for block in blocks(TUTORIAL) if block.language == "python" and not block.title]
    page.write_text("".join(f"```python\n{session}```\n\n" for session in sessions), encoding="utf-8")
    return page


def _pytest(directory: Path, environment: Mapping[str, str]) -> None:
    _run(["-m", "pytest", "--quiet", "-p", "no:cacheprovider", f"--rootdir={directory}", str(directory)], environment)


def _python(program: str, environment: Mapping[str, str]) -> str:
    return _run(["-c", program], environment)


def _run(arguments: list[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
