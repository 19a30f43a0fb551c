"""Every test here has servers and workers of its own; at the end, every test's verdict is printed."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.seed import FULL, SEED, schedule_of

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if not any(item.iter_markers("timeout")):
                item.add_marker(pytest.mark.timeout(600 if FULL else 120))


def pytest_report_header() -> str:
    return f"faults: FAULTS_SEED={SEED}, {'full' if FULL else 'short'} form"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        (report.nodeid.removeprefix("tests/faults/"), outcome, report.duration, value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, ())
        for name, value in report.user_properties
        if name == "verdict"
    ]
    if rows:
        terminalreporter.section(f"verdicts (FAULTS_SEED={SEED})")
        for test, outcome, duration, verdict in sorted(rows):
            terminalreporter.write_line(f"{outcome} {test} ({duration:.1f} s)\n    {verdict}")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The test's own chance, from the seed of the run."""
    return schedule_of(request.node.nodeid)


@pytest.fixture
def scenario(request: pytest.FixtureRequest, tmp_path: Path, chance: random.Random) -> Generator[Scenario]:
    """Servers, workers and producers for one test."""
    made = Scenario(tmp_path, chance)
    try:
        yield made
    finally:
        for verdict in made.verdicts:
            print(f"FAULTS_SEED={SEED} {verdict}")
        request.node.user_properties.extend(("verdict", verdict) for verdict in made.verdicts)
        made.close()
