"""The worker is killed inside a chain and inside a chord: both end once, with the outcome of an undisturbed run."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from sqlalchemy import select
from tests.faults.harness.household import Household
from tests.faults.harness.waiting import until

from celeriac import TaskState, gather
from core.data.entities import Summary
from infrastructure.database.models import ResultRow

WAIT = 60
ROWS = 4_000


@pytest.fixture
def house(scenario, server) -> Generator[Household]:
    tables = scenario.directory / "tables"
    tables.mkdir()
    (tables / "orders.csv").write_text("name,city\n" + "Ada,London\nBo,\n" * (ROWS // 2))
    with Household(scenario, server.url, {"DATA_DIRECTORY": os.fspath(tables)}) as house:
        yield house


def outcomes(house: Household) -> dict[str, object]:
    with house.database.reading() as session:
        return {row.workflow_id: row.outcome for row in session.scalars(select(ResultRow))}


@pytest.mark.proves("S002-24")
def test_kill_9_in_the_middle_of_a_chain_ends_it_once(house):
    tasks = house.registry
    result = tasks.fetch_data.s("orders").then(tasks.process_data).then(tasks.save_results).delay()
    processing = result.raw.parent
    until(lambda: processing.state == "PROGRESS", timeout=WAIT)
    house.worker.kill_group()
    saved = result.get(timeout=WAIT)
    assert saved.workflow_id == processing.parent.id
    assert outcomes(house) == {saved.workflow_id: {"processed": ROWS}}


@pytest.mark.proves("S002-24")
def test_kill_9_while_the_outcome_is_saved_keeps_it_once(house):
    tasks = house.registry
    with house.nobody_else_writes():
        result = tasks.fetch_data.s("orders").then(tasks.process_data).then(tasks.save_results).delay()
        until(lambda: result.state is TaskState.STARTED, timeout=WAIT)
        house.worker.kill_group()
    saved = result.get(timeout=WAIT)
    assert outcomes(house) == {saved.workflow_id: {"processed": ROWS}}


@pytest.mark.proves("S002-26")
def test_kill_9_in_the_middle_of_a_chord_sums_up_all_items_once(house):
    tasks = house.registry
    items = [{"name": "Ada", "city": "London" if number % 2 else ""} for number in range(100)]
    result = gather(*[tasks.process_item.s(item) for item in items]).then(tasks.aggregate_results).delay()
    until(lambda: result.raw.parent.completed_count() >= 5, timeout=WAIT)
    house.worker.kill_group()
    assert result.get(timeout=WAIT) == Summary(items=100, complete=50, missing={"city": 50})
