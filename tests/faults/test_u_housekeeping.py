"""The worker is killed while it exports, reports or cleans up: each is finished once, and nothing half is left."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select
from tests.faults.harness.household import Household
from tests.faults.harness.waiting import until
from tests.kit.people import AT, add_activities, add_user

from celeriac import TaskState
from infrastructure.database.models import ActivityRow, Base, ExportRow, ReportRow
from infrastructure.database.unit_of_work import SqlUnitOfWork

WAIT = 60
MANY = 120_000
"""Activities whose export takes seconds."""


@pytest.fixture
def exports(scenario) -> Path:
    return Path(scenario.directory, "exports")


@pytest.fixture
def house(scenario, server, exports) -> Generator[Household]:
    with Household(scenario, server.url, {"EXPORTS_DIRECTORY": str(exports)}) as house:
        yield house


@pytest.fixture
def ada(house) -> int:
    return add_user(house.database)


def count(house: Household, model: type[Base]) -> int:
    with house.database.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def half_written(exports: Path) -> list[Path]:
    """Files that grow."""
    return [path for path in exports.glob(".*.part/*") if path.stat().st_size > 100_000]


def test_kill_9_while_a_file_grows_leaves_none_under_its_name_and_the_next_attempt_makes_it(house, ada, exports):
    add_activities(house.database, ada, MANY)
    task_id = str(uuid4())
    result = house.registry.export_user_data.apply_async((ada, "json"), task_id=task_id)
    until(lambda: half_written(exports), timeout=WAIT)
    house.worker.kill_group()
    assert not list(exports.glob("user-*"))
    assert count(house, ExportRow) == 0
    path = Path(result.get(timeout=WAIT)["file_path"])
    assert list(exports.glob("user-*")) == [path]
    assert len(json.loads(path.read_text())["activities"]) == MANY
    assert count(house, ExportRow) == 1
    (left,) = exports.glob(".*.part")
    hours_ago = time.time() - 7_200
    for each in (*left.iterdir(), left):
        os.utime(each, (hours_ago, hours_ago))
    assert house.registry.cleanup_expired_data.delay().get(timeout=WAIT)["removed"].leftovers == 1
    assert list(exports.iterdir()) == [path]


def test_kill_9_between_the_file_and_its_record_leaves_one_of_each(house, ada, exports):
    add_activities(house.database, ada, MANY)
    result = house.registry.export_user_data.delay(ada, "json")
    until(lambda: half_written(exports), timeout=WAIT)
    with house.nobody_else_writes():
        until(lambda: list(exports.glob("user-*")), timeout=WAIT)
        house.worker.kill_group()
    assert count(house, ExportRow) == 0
    path = Path(result.get(timeout=WAIT)["file_path"])
    assert list(exports.iterdir()) == [path]
    assert count(house, ExportRow) == 1


def test_kill_9_while_a_report_is_noted_leaves_one(house, ada):
    add_activities(house.database, ada, 10)
    with house.nobody_else_writes():
        result = house.registry.generate_daily_report.delay(AT.date())
        until(lambda: result.state is TaskState.STARTED, timeout=WAIT)
        house.worker.kill_group()
    assert result.get(timeout=WAIT)["figures"].activities == 10
    assert count(house, ReportRow) == 1


def test_kill_9_while_old_data_is_removed_keeps_what_was_done_and_goes_on_from_there(house, ada):
    add_activities(house.database, ada, MANY, datetime.now(UTC) - timedelta(days=200))
    add_activities(house.database, ada, 10, datetime.now(UTC))
    result = house.registry.cleanup_old_data.delay()
    until(lambda: count(house, ActivityRow) < MANY, timeout=WAIT)
    house.worker.kill_group()
    left = count(house, ActivityRow) - 10
    assert 0 < left < MANY
    assert left % 1_000 == 0, "whole transactions"
    assert result.get(timeout=WAIT)["removed"].activities == left
    assert count(house, ActivityRow) == 10


def test_kill_9_while_expired_exports_are_removed_leaves_neither_files_nor_records_of_them(house, ada, exports):
    number, past = 20_000, datetime.now(UTC) - timedelta(days=1)
    exports.mkdir()
    paths = [exports / f"user-{ada}-{each}.json" for each in range(number)]
    for path in paths:
        path.touch()
    rows = [
        {
            "task_id": str(each),
            "user_id": ada,
            "format": "json",
            "file_path": str(path),
            "rows": 0,
            "created": past,
            "expires": past,
        }
        for each, path in enumerate(paths)
    ]
    with SqlUnitOfWork(house.database) as unit:
        unit.session.execute(insert(ExportRow), rows)
    result = house.registry.cleanup_expired_data.delay()
    deadline = time.monotonic() + WAIT
    while len(list(exports.iterdir())) == number:  # without a pause: it takes less than a second
        assert time.monotonic() < deadline, "nothing is removed"
    house.worker.kill_group()
    left = len(list(exports.iterdir()))
    assert 0 < left < number
    # What was removed and not noted when the worker died counts with the rest.
    assert 0 < result.get(timeout=WAIT)["removed"].exports <= number
    assert list(exports.iterdir()) == []
    with house.database.reading() as session:
        assert session.scalar(select(func.count()).where(ExportRow.removed.is_(None))) == 0
