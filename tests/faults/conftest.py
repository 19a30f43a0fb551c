"""Every test here has servers and workers of its own; at the end, every test's verdict is printed."""

from __future__ import annotations

import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.producer import Producer
from tests.faults.harness.scenario import Scenario
from tests.faults.harness.seed import FORM, FULL, SEED, WIDE, schedule_of

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "wide: leave it to the wide and full forms (FAULTS=wide, FAULTS=full)")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not WIDE:
        chosen = [item for item in items if not any(item.iter_markers("wide"))]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.faults)
            if not any(item.iter_markers("timeout")):
                item.add_marker(pytest.mark.timeout(600 if FULL else 120))


def pytest_report_header() -> str:
    return f"faults: FAULTS_SEED={SEED}, {FORM} form"


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

    def note(verdict: str) -> None:
        print(f"FAULTS_SEED={SEED} {verdict}")
        request.node.user_properties.append(("verdict", verdict))

    made = Scenario(tmp_path, chance, note)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def server(scenario: Scenario) -> PrivateRedis:
    """A server as production has it."""
    return scenario.redis()


@pytest.fixture
def producer(scenario: Scenario, server: PrivateRedis) -> Producer:
    """Calls tasks through ``server``."""
    return scenario.producer(server.url)
