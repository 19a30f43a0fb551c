"""Exports, reports and cleaning, by a worker of the service."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import func, select, update
from tests.kit.clients import disconnect
from tests.kit.people import AT, add_activities, add_user

from celeriac import TaskState
from celeriac.exceptions import InvalidArguments
from celeriac.testing.worker import WorkerProcess
from core.configs.settings import DatabaseSettings, Environment, RedisSettings, Settings
from core.exports.errors import NothingToExportError
from core.maintenance.entities import ExpiredCounts, OldCounts
from core.reports.entities import Figures
from core.reports.errors import PeriodNotOverError
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.database import Database
from infrastructure.database.models import ExportRow
from infrastructure.database.unit_of_work import SqlUnitOfWork
from ioc.container import Container, build_container

WAIT = 30
pytestmark = [pytest.mark.xdist_group("housekeeping"), pytest.mark.timeout(90)]
STEPS = [
    {"current": 1, "total": 4, "percent": 25, "message": "Fetching user data..."},
    {"current": 2, "total": 4, "percent": 50, "message": "Fetching activity history..."},
    {"current": 3, "total": 4, "percent": 75, "message": "Generating export file..."},
    {"current": 4, "total": 4, "percent": 100, "message": "Complete!"},
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def container(second_url: str, directory: Path) -> Generator[Container]:
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    url = f"sqlite:///{directory / 'service.db'}"
    settings = Settings(
        environment=Environment.TEST,
        redis_settings=RedisSettings(redis_url=SecretStr(second_url)),
        database_settings=DatabaseSettings(database_url=SecretStr(url)),
    )
    container = build_container(settings)
    env = {"DATABASE_URL": url, "EXPORTS_DIRECTORY": str(directory / "exports")}
    try:
        with WorkerProcess("delivery.tasks.app", redis_url=second_url, env=env):
            yield container
    finally:
        disconnect(container.resolve(Celery))
        container.close()


@pytest.fixture
def registry(container: Container) -> TasksRegistry:
    return container.resolve(TasksRegistry)


@pytest.fixture
def database(container: Container) -> Database:
    return container.resolve(Database)


@pytest.fixture(scope="module")
def ada(container: Container) -> int:
    database = container.resolve(Database)
    user_id = add_user(database, "ada")
    add_activities(database, user_id, 100)
    return user_id


@contextmanager
def monitored(url: str) -> Generator[list[str]]:
    """Every command that a server is sent while the block runs."""
    commands: list[str] = []
    with Redis.from_url(url) as redis, redis.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                said = str((command or {})["command"])
                if said == "ECHO enough":
                    return
                commands.append(said)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield commands
        finally:
            redis.echo("enough")
            thread.join(10)


@pytest.mark.proves("S002-17", "S002-18", "S002-19")
def test_an_export_tells_its_four_steps_as_progress_and_under_a_key_for_an_hour(registry, ada, second_url, directory):
    task_id = str(uuid4())
    with monitored(second_url) as commands:
        result = registry.export_user_data.apply_async((ada, "json"), task_id=task_id)
        outcome = result.get(timeout=WAIT)
    assert outcome == {"status": "completed", "file_path": str(directory / "exports" / f"user-{ada}-{task_id}.json")}
    assert len(json.loads(Path(outcome["file_path"]).read_text())["activities"]) == 100
    key = f"export_progress:{task_id}"
    shown = [command for command in commands if command.startswith(f"SET {key} ")]
    assert [json.loads(command.split(" ", 2)[2].rsplit(" EX ", 1)[0]) for command in shown] == STEPS
    assert {command.rsplit(" ", 1)[1] for command in shown} == {"3600"}
    with Redis.from_url(second_url) as redis:
        assert json.loads(redis.get(key) or b"") == STEPS[-1]
        assert 0 < redis.ttl(key) <= 3600
    states = [command for command in commands if command.startswith(f"PUBLISH celery-task-meta-{task_id} ")]
    told = [json.loads(command.split(" ", 2)[2]) for command in states]
    progress = [meta["result"] for meta in told if meta["status"] == TaskState.PROGRESS]
    assert progress, "a report may be overtaken by the next, but not all of them"
    assert progress == [step for step in STEPS if step in progress]


@pytest.mark.proves("S002-19")
@pytest.mark.parametrize("export_format", ["csv", "parquet", "xlsx"])
def test_every_format_is_written(registry, ada, export_format):
    outcome = registry.export_user_data.delay(ada, export_format).get(timeout=WAIT)
    assert outcome["status"] == "completed"
    path = Path(outcome["file_path"])
    assert path.suffix == f".{export_format}"
    assert path.stat().st_size


def test_a_format_that_nobody_knows_is_refused_at_the_call(registry, ada):
    with pytest.raises(InvalidArguments, match="Input should be 'json', 'csv', 'parquet' or 'xlsx'"):
        registry.export_user_data.delay(ada, "pdf")


def test_a_user_who_does_not_exist_fails_the_task_at_once(registry):
    result = registry.export_user_data.delay(4711, "json")
    with pytest.raises(NothingToExportError, match=r"^user 4711 does not exist, so there is nothing to export"):
        result.get(timeout=WAIT)


def test_a_task_that_is_delivered_twice_leaves_one_file_and_one_record(registry, ada, database, directory):
    task_id = str(uuid4())
    outcomes = [
        registry.export_user_data.apply_async((ada, "json"), task_id=task_id).get(timeout=WAIT) for _ in range(2)
    ]
    assert outcomes[0] == outcomes[1]
    assert len(list((directory / "exports").glob(f"*{task_id}*"))) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).where(ExportRow.task_id == task_id)) == 1


def test_a_day_is_reported_once_and_the_same_to_everybody(registry, ada):
    report = registry.generate_daily_report.delay(AT.date()).get(timeout=WAIT)
    assert report == registry.generate_report.delay("daily", day=AT.date()).get(timeout=WAIT)
    assert (report["kind"], report["first"], report["last"]) == ("daily", AT.date(), AT.date())
    assert report["figures"] == Figures(1, 1, 100, 0, 0, 0, 0, 0)


def test_without_a_day_reports_tell_of_the_last_period_that_is_over(registry):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    report = registry.generate_daily_report.delay().get(timeout=WAIT)
    assert report["last"] in {yesterday, yesterday + timedelta(days=1)}
    weekly = registry.generate_report.delay().get(timeout=WAIT)
    assert (weekly["first"].weekday(), weekly["last"].weekday()) == (0, 6)


def test_a_period_that_goes_on_is_refused(registry):
    with pytest.raises(PeriodNotOverError, match="cannot be made yet"):
        registry.generate_daily_report.delay(datetime.now(UTC).date() + timedelta(days=1)).get(timeout=WAIT)


def test_old_data_is_counted_first_and_then_removed(registry, database):
    bob = add_user(database, "bob")
    add_activities(database, bob, 1_200, AT - timedelta(days=400))
    days = (datetime.now(UTC) - AT).days + 300
    old = OldCounts(activities=1_200, completions=0, exports=0, results=0)
    for dry_run in (True, False):
        cleaned = registry.cleanup_old_data.delay(days, dry_run=dry_run).get(timeout=WAIT)
        assert cleaned == {"dry_run": dry_run, "removed": old}
    assert registry.cleanup_old_data.delay(days).get(timeout=WAIT)["removed"].activities == 0


def test_it_is_no_day_that_stays_none(registry):
    with pytest.raises(InvalidArguments, match="greater than or equal to 1"):
        registry.cleanup_old_data.delay(0)


def test_an_export_is_removed_when_its_time_is_over(registry, ada, database):
    path = Path(registry.export_user_data.delay(ada, "json").get(timeout=WAIT)["file_path"])
    with SqlUnitOfWork(database) as unit:
        past = datetime.now(UTC) - timedelta(seconds=1)
        unit.session.execute(update(ExportRow).where(ExportRow.file_path == str(path)).values(expires=past))
    cleaned = registry.cleanup_expired_data.delay(dry_run=True).get(timeout=WAIT)
    assert cleaned == {"dry_run": True, "removed": ExpiredCounts(exports=1, leftovers=0)}
    assert path.exists()
    cleaned = registry.cleanup_expired_data.delay().get(timeout=WAIT)
    assert cleaned == {"dry_run": False, "removed": ExpiredCounts(exports=1, leftovers=0)}
    assert not path.exists()
