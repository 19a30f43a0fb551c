"""What reports count in real databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.kit.people import add_activities, add_user

from core.reports.entities import Figures, Period, Report
from core.reports.service import ReportService
from infrastructure.database.models import ActivityRow, CompletionRow, ExportRow, ReportRow, UploadRow
from infrastructure.database.reports import SqlReports, SqlStatistics

DAY = date(2026, 3, 1)
MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
LAST = MIDNIGHT + timedelta(days=1, microseconds=-1)
BEFORE = MIDNIGHT - timedelta(microseconds=1)
AFTER = MIDNIGHT + timedelta(days=1)
NOTHING = Figures(0, 0, 0, 0, 0, 0, 0, 0)


def completion(request_id: str, user_id: int, tokens: int, at: datetime) -> CompletionRow:
    said: dict[str, Any] = {"model": "m", "prompt": "p", "response": "r"}
    counted = {"prompt_tokens": tokens - 1, "completion_tokens": 1, "total_tokens": tokens}
    return CompletionRow(request_id=request_id, user_id=user_id, created=at, **said, **counted)


def upload(file_id: str, size: int, at: datetime) -> UploadRow:
    return UploadRow(file_id=file_id, sha256="0", media_type="text/plain", size=size, location="/", processed=at)


@pytest.fixture
def service(unit) -> ReportService:
    return ReportService(unit, SqlStatistics(unit), SqlReports(unit))


def test_a_day_is_counted_from_midnight_to_midnight(database, unit, service):
    ada = add_user(database, "ada", MIDNIGHT)
    bob = add_user(database, "bob", LAST)
    for name, at in {"before": BEFORE, "after": AFTER}.items():
        other = add_user(database, name, at)
        add_activities(database, other, 1, at)
        with unit:
            unit.session.add_all([completion(name, other, 50, at), upload(name, 9, at)])
    add_activities(database, ada, 3, MIDNIGHT)
    add_activities(database, bob, 1, LAST)
    with unit:
        unit.session.add_all([completion("r1", ada, 10, MIDNIGHT), completion("r2", ada, 5, LAST)])
        unit.session.add(upload("f1", 2**40, LAST))
        gone = MIDNIGHT + timedelta(days=9)
        said: dict[str, Any] = {"user_id": ada, "format": "json", "file_path": "/a", "rows": 3, "removed": gone}
        unit.session.add(ExportRow(task_id="t1", created=MIDNIGHT, expires=gone, **said))
    report = service.generate("daily", DAY)
    assert report.figures == Figures(
        new_users=2,
        active_users=2,
        activities=4,
        completions=2,
        tokens=15,
        exports=1,
        uploads=1,
        uploaded_bytes=2**40,
    )


def test_a_day_on_which_nothing_happened_is_all_zeros(service):
    assert service.generate("daily", DAY).figures == NOTHING


def test_a_month_is_the_sum_of_its_days(database, service):
    ada = add_user(database, "ada", MIDNIGHT)
    add_activities(database, ada, 31, MIDNIGHT + timedelta(hours=1), apart=timedelta(days=1))
    month = service.generate("monthly", DAY)
    assert (month.period.first, month.period.last) == (DAY, date(2026, 3, 31))
    assert month.figures.activities == 31
    assert sum(service.generate("daily", DAY + timedelta(days=n)).figures.activities for n in range(31)) == 31


def test_figures_outlive_what_they_were_counted_from(database, unit, service):
    ada = add_user(database, "ada", MIDNIGHT)
    add_activities(database, ada, 3, MIDNIGHT)
    first = service.generate("daily", DAY)
    with unit:
        unit.session.query(ActivityRow).delete()
    assert service.generate("daily", DAY) == first
    with unit:
        assert unit.session.scalar(select(func.count()).select_from(ReportRow)) == 1


def test_two_who_note_one_period_at_once_leave_one_report(unit):
    for activities in (3, 4):
        with unit:
            figures = Figures(0, 0, activities, 0, 0, 0, 0, 0)
            SqlReports(unit).keep(Report("daily", Period(DAY, DAY), figures, AFTER))
    with unit:
        kept = SqlReports(unit).find("daily", Period(DAY, DAY))
    assert kept is not None
    assert kept.figures.activities == 4
