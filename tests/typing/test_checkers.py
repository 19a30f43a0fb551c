"""Two type checkers refuse every wrong call of ``wrong_calls.py`` and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRONG = Path(__file__).with_name("wrong_calls.py")
MARK = re.compile(r"  # type: ignore\[[a-z-]+\]")

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("checkers")]


@pytest.fixture(scope="module")
def marked() -> set[int]:
    lines = WRONG.read_text().splitlines()
    return {number for number, line in enumerate(lines, start=1) if MARK.search(line)}


@pytest.fixture(scope="module")
def unmarked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file without its marks."""
    copy = tmp_path_factory.mktemp("typing") / WRONG.name
    copy.write_text(MARK.sub("", WRONG.read_text()))
    return copy


def run(*command: str, cwd: Path = ROOT) -> str:
    return subprocess.run([sys.executable, "-m", *command], cwd=cwd, capture_output=True, text=True, check=False).stdout


@pytest.mark.proves("S003-16")
def test_mypy_refuses_every_marked_line_and_no_other(marked: set[int], unmarked: Path) -> None:
    output = run("mypy", "--strict", "--no-error-summary", str(unmarked))
    refused = {int(line) for line in re.findall(rf"{WRONG.stem}\.py:(\d+): error", output)}
    assert refused == marked, output


@pytest.mark.proves("S003-16")
def test_pyright_refuses_every_marked_line_and_no_other(marked: set[int], unmarked: Path) -> None:
    settings = {
        "include": [unmarked.name],
        "extraPaths": [str(ROOT / "src"), str(ROOT)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "reportUnknownMemberType": False,
        "reportUnusedExpression": False,
    }
    (unmarked.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    output = run(
        "pyright",
        "--outputjson",
        "--pythonpath",
        sys.executable,
        "--project",
        str(unmarked.parent),
        cwd=unmarked.parent,
    )
    found = json.loads(output)["generalDiagnostics"]
    refused = {each["range"]["start"]["line"] + 1 for each in found if each["severity"] == "error"}
    assert refused == marked, [(each["range"]["start"]["line"] + 1, each["message"]) for each in found]


@pytest.mark.proves("S003-16")
def test_the_call_that_everybody_names_first_is_among_them() -> None:
    assert 'registry.add.delay("x")  # type: ignore[arg-type]' in WRONG.read_text()
