"""The memory that an export takes does not grow with what is exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from pydantic import SecretStr
from tests.kit.people import add_activities, add_user

from core.exports import ExportFormat
from infrastructure.database.database import Database

SLOW = {"json", "xlsx"}
"""Formats that are measured by `make test-wide` alone."""
FEW = 10_000
MANY = 50_000
ALLOWED = 14 * 2**20
"""Bytes. To hold 40,000 activities would take half as much again; allocators and buffers take some of it."""

pytestmark = [
    pytest.mark.xdist_group("export-memory"),
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says what a process took at most"),
]


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], dict[str, float]]:
    """Exports a user who did so many things, in a process of its own, and gives the figures."""
    directory = tmp_path_factory.mktemp("measured")
    url = f"sqlite:///{directory / 'service.db'}"
    users: dict[int, int] = {}

    def user_of(count: int) -> int:
        if count not in users:
            database = Database(SecretStr(url), production=False)
            users[count] = add_user(database, str(count))
            add_activities(database, users[count], count, datetime(2020, 1, 1, tzinfo=UTC))
            database.close()
        return users[count]

    def measure(kind: str, count: int) -> dict[str, float]:
        command = [sys.executable, "-m", "tests.kit.measured_export"]
        ended = subprocess.run(
            [*command, url, str(directory / "exports"), kind, str(user_of(count))],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        figures: dict[str, float] = json.loads(ended.stdout)
        assert figures["rows"] == count
        print(kind, figures)
        return figures

    return measure


@pytest.mark.parametrize("many", [MANY, pytest.param(1_000_000, marks=[pytest.mark.wide, pytest.mark.timeout(600)])])
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.wide] if kind in SLOW else []) for kind in get_args(ExportFormat)]
)
def test_memory_is_flat_while_data_grows(measure, kind, many):
    few = measure(kind, FEW)
    assert measure(kind, many)["peak"] - few["peak"] < ALLOWED
