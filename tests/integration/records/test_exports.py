"""What is exported, and the record of it, in real databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, event, func, make_url, select
from tests.faults.harness.proxy import TcpProxy
from tests.kit.people import AT, add_activities, add_user

from core.exports.entities import Activity, Export
from core.exports.errors import NothingToExportError
from core.transactions import DatabaseUnavailableError
from infrastructure.database.database import Database
from infrastructure.database.exports import SqlExports, SqlUserData
from infrastructure.database.models import ActivityRow, ExportRow, UserRow
from infrastructure.exports.local_files import LocalExportFiles


def export(task_id: str, user_id: int, *, expires: datetime = AT, path: str = "/a") -> Export:
    return Export(task_id, user_id, "json", path, 1, AT - timedelta(days=7), expires)


def test_activities_come_page_by_page_in_their_order_and_nobody_elses(database):
    ada, bob = add_user(database, "ada"), add_user(database, "bob")
    for _ in range(2):
        add_activities(database, ada, 2_500)
        add_activities(database, bob, 10)
    activities = list(SqlUserData(database).activities(ada))
    assert [activity.details["number"] for activity in activities] == [*range(2_500), *range(2_500)]
    assert activities[0].at == AT
    ids = [activity.id for activity in activities]
    assert ids == sorted(set(ids))


def test_long_details_end_a_page_before_its_activities_are_many(database, unit):
    """A fetch brings a hundred, and none is lost where a page ends within one."""
    ada = add_user(database)
    with unit:
        rows = [{"number": number, "text": "x" * (1 << 20)} for number in range(20)]
        unit.session.add_all([ActivityRow(user_id=ada, at=AT, kind="wrote", details=details) for details in rows])
    pages: list[int] = []

    @event.listens_for(database.engine, "rollback")
    def note(_connection) -> None:
        pages.append(len(seen))

    seen: list[int] = []
    seen.extend(activity.details["number"] for activity in SqlUserData(database).activities(ada))
    event.remove(database.engine, "rollback", note)
    assert seen == list(range(20))
    assert pages == [0, 0, 8, 16], "the last id, and three pages"


def test_what_the_user_does_meanwhile_is_left_for_the_next_export(database):
    ada = add_user(database)
    add_activities(database, ada, 3)
    activities = SqlUserData(database).activities(ada)
    add_activities(database, ada, 5)
    assert len(list(activities)) == 3


def test_what_is_removed_meanwhile_ends_it(database, unit):
    ada = add_user(database)
    add_activities(database, ada, 4_000)
    activities = SqlUserData(database).activities(ada)
    next(activities)
    with unit:
        unit.session.execute(delete(ActivityRow))
    assert len(list(activities)) == 1_999


@pytest.mark.parametrize("user_id", [0, -1, 4711, 2**31, 2**80])
def test_who_does_not_exist_has_nothing_to_export(database, user_id):
    with pytest.raises(NothingToExportError, match=f"user {user_id} does not exist"):
        SqlUserData(database).subject(user_id)


def test_an_export_is_noted_once_for_each_task(database, unit):
    ada = add_user(database)
    exports = SqlExports(unit)
    with unit:
        assert exports.find("t1") is None
    for path in ("/a", "/b"):
        with unit:
            exports.keep(export("t1", ada, path=path))
    with unit:
        assert exports.find("t1") == export("t1", ada, path="/b")
        assert unit.session.scalar(select(func.count()).select_from(ExportRow)) == 1


def test_nothing_is_noted_for_a_user_who_was_deleted(database, unit):
    ada = add_user(database)
    with unit:
        unit.session.execute(delete(UserRow))
    with pytest.raises(NothingToExportError), unit:
        SqlExports(unit).keep(export("t1", ada))
    with unit:
        assert SqlExports(unit).find("t1") is None


def test_what_has_expired_is_listed_until_its_file_is_gone(database, unit):
    ada = add_user(database)
    exports = SqlExports(unit)
    times = {"t1": AT - timedelta(seconds=2), "t2": AT - timedelta(seconds=1), "t3": AT + timedelta(seconds=1)}
    with unit:
        for task_id, expires in times.items():
            exports.keep(export(task_id, ada, expires=expires, path=f"/{task_id}"))
    with unit:
        assert [each.task_id for each in exports.expired(AT, 10)] == ["t1", "t2"]
        assert [each.task_id for each in exports.expired(AT, 1)] == ["t1"]
        assert exports.count_expired(AT) == 2
        exports.note_removed(["t1", "t3"], AT)
    with unit:
        assert [each.task_id for each in exports.expired(AT, 10)] == ["t2"]
        assert exports.named(["/t1", "/t2", "/t3", "/t4"]) == {"/t2", "/t3"}
        exports.keep(export("t1", ada, path="/t1"))
        assert exports.named(["/t1"]) == {"/t1"}, "an export that was made again is there again"


def test_a_database_that_goes_away_between_pages_leaves_no_file_and_the_next_attempt_makes_it(database_url, tmp_path):
    address = make_url(database_url)
    with TcpProxy(address.port or 5432) as proxy:
        url = address.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        database = Database(SecretStr(url), production=False)
        ada = add_user(database, tmp_path.name)
        add_activities(database, ada, 6_000)
        data, files = SqlUserData(database), LocalExportFiles(tmp_path / "exports")

        def until_it_goes() -> Iterator[Activity]:
            for number, activity in enumerate(data.activities(ada)):
                if number == 3_000:
                    proxy.refuse()
                yield activity

        with pytest.raises(DatabaseUnavailableError):
            files.write("a", "json", data.subject(ada), until_it_goes())
        assert list((tmp_path / "exports").iterdir()) == []
        proxy.mend()
        assert files.write("a", "json", data.subject(ada), data.activities(ada)).rows == 6_000
        database.close()
