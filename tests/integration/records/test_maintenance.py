"""What is removed from real databases and disks, and what stays."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from tests.kit.people import add_activities, add_user

from core.exports.entities import Activity, Export, Subject
from core.maintenance.entities import ExpiredCounts, OldCounts
from core.maintenance.expired import ExpiredDataService
from core.maintenance.old import OldDataService
from infrastructure.database.exports import SqlExports
from infrastructure.database.maintenance import SqlOldData
from infrastructure.database.models import ActivityRow, Base, CompletionRow, ExportRow, ResultRow
from infrastructure.exports.local_files import LocalExportFiles

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=100)
NOTHING = OldCounts(0, 0, 0, 0)


@pytest.fixture
def files(tmp_path: Path) -> LocalExportFiles:
    return LocalExportFiles(tmp_path / "exports")


@pytest.fixture
def old(unit) -> OldDataService:
    return OldDataService(unit, SqlOldData(unit))


@pytest.fixture
def expired(unit, files) -> ExpiredDataService:
    return ExpiredDataService(unit, SqlExports(unit), files)


@pytest.fixture
def count(unit) -> Callable[[type[Base]], int]:
    def count(model: type[Base]) -> int:
        with unit:
            return int(unit.session.scalar(select(func.count()).select_from(model)))

    return count


@pytest.fixture
def export(database, unit, files) -> Callable[..., Path]:
    """Makes an export with its file, and gives that."""
    ada = add_user(database, "exported")

    def export(task_id: str, expires: datetime, *, removed: datetime | None = None) -> Path:
        path = files.write(task_id, "json", Subject(ada, "a@b.c", "", NOW), list[Activity]()).path
        with unit:
            SqlExports(unit).keep(Export(task_id, ada, "json", path, 0, expires - timedelta(days=7), expires))
            unit.session.get(ExportRow, task_id).removed = removed
        return Path(path)

    return export


def test_what_is_old_goes_and_what_is_not_stays(database, unit, old, count, export):
    ada = add_user(database)
    add_activities(database, ada, 5, LONG_AGO)
    add_activities(database, ada, 3, NOW)
    said = {"user_id": ada, "model": "m", "prompt": "p", "response": "r"}
    tokens = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    with unit:
        for name, at in {"old": LONG_AGO, "new": NOW}.items():
            unit.session.add(CompletionRow(request_id=name, created=at, **said, **tokens))
            unit.session.add(ResultRow(workflow_id=name, outcome={}, saved=at))
    export("gone", LONG_AGO, removed=LONG_AGO)
    export("still there", LONG_AGO)
    export("new", NOW, removed=NOW)
    expected = OldCounts(activities=5, completions=1, exports=1, results=1)
    assert old.remove(older_than_days=90, dry_run=True) == expected
    assert [count(model) for model in (ActivityRow, CompletionRow, ExportRow, ResultRow)] == [8, 2, 3, 2]
    assert old.remove(older_than_days=90, dry_run=False) == expected
    assert [count(model) for model in (ActivityRow, CompletionRow, ExportRow, ResultRow)] == [3, 1, 2, 1]
    assert old.remove(older_than_days=90, dry_run=False) == NOTHING


def test_no_transaction_removes_more_than_a_thousand_rows(database, old, count):
    add_activities(database, add_user(database), 2_500, LONG_AGO)
    left: list[int] = []

    @event.listens_for(database.engine, "commit")
    def note(connection) -> None:
        left.append(connection.exec_driver_sql("SELECT count(*) FROM activities").scalar_one())

    assert old.remove(older_than_days=90, dry_run=False).activities == 2_500
    event.remove(database.engine, "commit", note)
    assert left[:3] == [1_500, 500, 0]


def test_an_export_goes_when_its_time_is_over(expired, export, count, unit):
    over = [export(f"over-{number}", NOW - timedelta(seconds=1)) for number in range(3)]
    fresh = export("fresh", NOW + timedelta(hours=1))
    assert expired.remove(dry_run=True) == ExpiredCounts(3, 0)
    assert all(path.exists() for path in over)
    assert expired.remove(dry_run=False) == ExpiredCounts(3, 0)
    assert not any(path.exists() for path in over)
    assert fresh.exists()
    assert expired.remove(dry_run=False) == ExpiredCounts(0, 0)
    assert count(ExportRow) == 4, "reports count exports of former days"


def test_whoever_died_between_the_file_and_the_note_is_caught_up_with(expired, export, count):
    export("over", NOW - timedelta(seconds=1)).unlink()
    assert expired.remove(dry_run=False) == ExpiredCounts(1, 0)
    assert expired.remove(dry_run=False) == ExpiredCounts(0, 0)


def test_what_killed_attempts_left_behind_goes_and_what_is_being_written_stays(expired, export, tmp_path):
    kept = export("kept", NOW + timedelta(days=1))
    directory = tmp_path / "exports"
    dead, alive = directory / ".user-1-x.json.1.part", directory / ".user-1-y.json.2.part"
    for part in (dead, alive):
        part.mkdir()
        (part / "half").write_text("[")
    unnamed = directory / "user-1-never-noted.json"
    unnamed.touch()
    hours_ago = time.time() - 7_200
    for path in (dead / "half", dead, unnamed, kept):
        os.utime(path, (hours_ago, hours_ago))
    assert expired.remove(dry_run=True) == ExpiredCounts(0, 2)
    assert dead.exists()
    assert expired.remove(dry_run=False) == ExpiredCounts(0, 2)
    assert sorted(directory.iterdir()) == sorted([alive, kept])
