"""The packages that the project is asked to stand on: declared, and used."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


@pytest.mark.proves("M-2")
@pytest.mark.parametrize("package", MANDATED)
def test_a_mandated_package_is_declared(package):
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [text["project"]["dependencies"], *text["dependency-groups"].values()]
    declared = {re.split(r"[\[~>=< ]", entry)[0] for entries in lists for entry in entries if isinstance(entry, str)}
    assert package in declared


@pytest.mark.proves("M-2")
def test_every_mandated_package_is_imported_by_the_code_or_its_tests():
    used: set[str] = set()
    for file in [*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        used |= imported_by(file)
    assert set(MANDATED.values()) - used == set()


def imported_by(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names
