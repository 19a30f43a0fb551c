"""Workflows of the service over data, on a real worker."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest
from celery import Celery
from pydantic import JsonValue, SecretStr
from redis import Redis
from sqlalchemy import select
from tests.kit.clients import disconnect

from celeriac import TaskResult, TaskState, chunked, gather
from celeriac.testing.worker import WorkerProcess
from core.configs.settings import DatabaseSettings, Environment, RedisSettings, Settings
from core.data.entities import Examined, Summary
from core.data.errors import TableTooLargeError, UnknownTableError, UnreadableTableError
from delivery.tasks.registry import TasksRegistry
from infrastructure.database.database import Database
from infrastructure.database.models import ResultRow
from ioc.container import build_container

WAIT = 30
ROWS: list[JsonValue] = [
    {"name": "Ada", "city": "London"},
    {"name": "Bo", "city": ""},
    {"name": "", "city": ""},
    {"name": "Cy", "city": "Rome"},
]
pytestmark = pytest.mark.timeout(90)


@dataclass
class Data:
    """What a test of workflows needs."""

    registry: TasksRegistry
    tables: Path
    database: Database

    def kept(self) -> dict[str, object]:
        with self.database.reading() as session:
            return {row.workflow_id: row.outcome for row in session.scalars(select(ResultRow))}


@pytest.fixture(scope="module")
def data(second_url: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Data]:
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    tables = tmp_path_factory.mktemp("tables")
    (tables / "orders.csv").write_text("name,city\nAda,London\nBo,\n,\nCy,Rome\n")
    (tables / "broken.csv").write_text("a,b\n1,2,3\n")
    (tables / "large.csv").write_text("a\n" * 1000)
    url = f"sqlite:///{tmp_path_factory.mktemp('data') / 'service.db'}"
    settings = Settings(
        environment=Environment.TEST,
        redis_settings=RedisSettings(redis_url=SecretStr(second_url)),
        database_settings=DatabaseSettings(database_url=SecretStr(url)),
    )
    container = build_container(settings)
    env = {"DATABASE_URL": url, "DATA_DIRECTORY": os.fspath(tables), "DATA_MAX_BYTES": "1500"}
    with WorkerProcess("delivery.tasks.app", redis_url=second_url, env=env):
        yield Data(container.resolve(TasksRegistry), tables, container.resolve(Database))
    disconnect(container.resolve(Celery))
    container.close()


def first_of(result: TaskResult[object]) -> str:
    """The id of the task that a chain began with."""
    raw = result.raw
    while raw.parent is not None:
        raw = raw.parent
    return str(raw.id)


@pytest.mark.proves("S002-24")
def test_a_table_is_fetched_processed_and_its_outcome_saved_under_the_workflows_id(data: Data):
    tasks = data.registry
    workflow = tasks.fetch_data.s("orders").then(tasks.process_data).then(tasks.save_results)
    result = workflow.delay()
    saved = result.get(timeout=WAIT)
    assert saved.workflow_id == first_of(result)
    assert data.kept()[saved.workflow_id] == {"processed": 4}
    other = workflow.delay().get(timeout=WAIT)
    assert other.workflow_id != saved.workflow_id, "each run of a workflow has an outcome of its own"


@pytest.mark.proves("S002-24")
def test_each_step_hands_its_result_to_the_next(data: Data):
    tasks = data.registry
    rows = tasks.fetch_data.delay("orders").get(timeout=WAIT)
    assert rows == ROWS
    assert tasks.fetch_data.s("orders").then(tasks.process_data).delay().get(timeout=WAIT) == {"processed": 4}


@pytest.mark.proves("S002-26")
def test_items_are_examined_side_by_side_and_summed_up_once(data: Data):
    tasks = data.registry
    workflow = gather(*[tasks.process_item.s(item) for item in ROWS]).then(tasks.aggregate_results)
    assert workflow.delay().get(timeout=WAIT) == Summary(items=4, complete=2, missing={"city": 2, "name": 1})


@pytest.mark.proves("S002-25")
def test_a_group_has_the_result_of_each_item_in_their_order(data: Data):
    tasks = data.registry
    found = gather(*[tasks.process_item.s(item) for item in ROWS[:3]]).delay().get(timeout=WAIT)
    assert found == [Examined(2), Examined(2, ("city",)), Examined(2, ("name", "city"))]


@pytest.mark.proves("S004-18")
def test_many_items_are_processed_some_at_a_time(data: Data):
    chunks = chunked(data.registry.process_data, ROWS * 3, size=5)
    assert chunks.delay().get(timeout=WAIT) == [{"processed": 5}, {"processed": 5}, {"processed": 2}]


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("../orders", UnknownTableError, "is no name of a table"),
        ("customers", UnknownTableError, "where broken, large, orders is"),
        ("broken", UnreadableTableError, "line 2 has 3 cells, but there are 2 columns"),
        ("large", TableTooLargeError, "2000 bytes, more than the 1500 of DATA_MAX_BYTES"),
    ],
)
def test_a_workflow_whose_table_cannot_be_had_ends_there_and_keeps_nothing(data: Data, source, error, said):
    tasks, before = data.registry, data.kept()
    result = tasks.fetch_data.s(source).then(tasks.process_data).then(tasks.save_results).delay()
    with pytest.raises(error, match=said):
        result.get(timeout=WAIT)
    assert result.state is TaskState.FAILURE
    assert data.kept() == before


def test_a_step_by_itself_is_a_workflow_of_one(data: Data):
    result = data.registry.save_results.delay({"processed": 7})
    assert result.get(timeout=WAIT).workflow_id == result.id
    assert data.kept()[result.id] == {"processed": 7}
