"""Every layer of the sources' task module is here, under the name that the map of the sources gives it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs/reference/map-of-the-sources.md"
DOES = re.compile(r"^(class|def|async def|app = )", re.MULTILINE)
LAYERS = [
    "task/celery.py",
    "task/database.py",
    "task/api/v1/task.py",
    "task/schema/task.py",
    "task/service/task.py",
    "task/crud/task.py",
    "task/model/task.py",
    "task/tasks/email.py",
    "task/tasks/example.py",
    "task/utils/",
]


def places() -> dict[str, list[str]]:
    """By the name of each layer there: its files here."""
    section = (
        MAP.read_text(encoding="utf-8").split("## The task module of fastapi_best_architecture")[1].split("\n## ")[0]
    )
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {there.strip("`"): re.findall(r"`(src/[^`]+)`", here) for there, _, here in rows}


@pytest.mark.proves("S001-1")
@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_of_the_sources_is_there_and_does_something(layer):
    found = places()[layer]
    assert found
    for place in found:
        path = ROOT / place
        files = [path] if path.is_file() else list(path.glob("*.py"))
        assert files, f"{place} does not exist"
        assert any(DOES.search(file.read_text(encoding="utf-8")) for file in files)
