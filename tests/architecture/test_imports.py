from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = ("pyproject.toml", "tests/architecture/cycles.toml")

MANDATED = {
    "celery": "celery",
    "redis": "redis",
    "punq": "punq",
    "pydantic-settings": "pydantic_settings",
    "structlog": "structlog",
    "opentelemetry-sdk": "opentelemetry",
    "pytest": "pytest",
    "testcontainers": "testcontainers",
}

# File, the import that it gets, and the rule that must notice.
VIOLATIONS = [
    ("celeriac/app.py", "import core.health", "1."),
    ("core/health/service.py", "import celery", "2. core is plain Python"),
    ("core/health/service.py", "import celeriac", "2. core is plain Python"),
    ("core/health/service.py", "import core.data.service", "2. a domain of core"),
    ("infrastructure/__init__.py", "import delivery.tasks.registry", "3. infrastructure"),
    ("delivery/tasks/registry.py", "import infrastructure", "3. delivery"),
    ("delivery/demo/app.py", "import delivery.tasks.controllers.ping", "4."),
    ("delivery/tasks/registry.py", "import ioc", "5. only the entry points"),
    ("celeriac/exceptions.py", "import celeriac.settings", "5. no cycles"),
]


def lint(source: Path, configuration: str) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--config", configuration, "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.proves("M-1")
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_every_import_keeps_the_rules(configuration):
    linted = lint(ROOT / "src", configuration)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.proves("M-1")
@pytest.mark.parametrize(("file", "line", "rule"), VIOLATIONS)
def test_an_import_against_a_rule_is_noticed(tmp_path, file, line, rule):
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / "src" / file
    source.write_text(f"{source.read_text()}\n{line}\n")
    configuration = CONFIGURATIONS[1] if rule == "5. no cycles" else CONFIGURATIONS[0]
    linted = lint(tmp_path / "src", configuration)
    broken = [said for said in linted.stdout.splitlines() if "BROKEN" in said]
    assert linted.returncode != 0
    assert any(said.startswith(rule) for said in broken), linted.stdout


@pytest.mark.proves("M-2")
@pytest.mark.parametrize(("package", "module"), MANDATED.items())
def test_a_mandated_package_is_declared_and_used(package, module):
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [text["project"]["dependencies"], *text["dependency-groups"].values()]
    declared = {str(entry).split("[")[0].split("~")[0].split(">")[0] for group in groups for entry in group}
    assert package in declared
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert any(module in imported(file) for file in files)


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names
