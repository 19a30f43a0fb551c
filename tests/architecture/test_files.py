"""Files stay short, and the packages that the design names are declared and used."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

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


def length(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_five_hundred_lines():
    assert [str(path.relative_to(ROOT)) for path in [*SOURCES, *TESTS] if length(path) > 500] == []


def test_half_of_the_source_files_are_shorter_than_120_lines():
    assert statistics.median(map(length, SOURCES)) < 120


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = [
        *project["project"]["dependencies"],
        *(each for extra in project["project"]["optional-dependencies"].values() for each in extra),
        *(each for group in project["dependency-groups"].values() for each in group if isinstance(each, str)),
    ]
    return {re.split(r"[\[<>=~! ;]", requirement, maxsplit=1)[0] for requirement in requirements}


@cache
def imported() -> set[str]:
    names: set[str] = set()
    for path in [*SOURCES, *TESTS]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names


@pytest.mark.proves("M-2")
@pytest.mark.parametrize("package", MANDATED)
def test_each_mandated_package_is_declared_and_imported(package):
    assert package in declared()
    assert MANDATED[package] in imported()


def test_no_room_is_empty():
    rooms = [path for path in (ROOT / "src").rglob("*") if path.is_dir() and path.name != "__pycache__"]
    assert [str(room) for room in rooms if not any(room.rglob("*.py")) and "egg-info" not in room.name] == []
