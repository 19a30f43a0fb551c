"""What unique and debounced tasks refuse before anything runs, and which calls they take for one."""

from __future__ import annotations

from typing import Any

import pytest
from tests.kit.service import Container

from celeriac import (
    CeleryAppConfig,
    Concurrency,
    Debounce,
    TaskController,
    TasksRegistry,
    Unique,
    create_celery_app,
    task,
)
from celeriac.error import CeleriacError
from celeriac.exceptions import InvalidTask, TaskRevoked
from celeriac.flow.keys import CallKey
from celeriac.tasks.execution import register_task
from celeriac.tasks.report import BulkReport
from celeriac.tasks.signature import TaskSignature
from celeriac.testing.recording import RecordingPublisher
from celeriac.transport.connector import connector


def installed(definition: Any, **settings: Any) -> Any:
    said = {"redis_url": "redis://localhost:1/0", **settings}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    return register_task(app, definition, Container())


def test_unique_and_debounce_do_not_go_together():
    with pytest.raises(ValueError, match=r"unique and debounce cannot be combined; debounce with concurrency="):
        task("both", unique=Unique(), debounce=Debounce(1))
    task("fine", debounce=Debounce(1), concurrency=Concurrency(1))


@pytest.mark.parametrize("policy", [{"unique": Unique(key=("x", "z"))}, {"debounce": Debounce(1, key="z")}])
def test_a_key_that_is_no_parameter_is_refused(policy):
    class Some(TaskController):
        @task("some", **policy)
        def some(self, x: int) -> None: ...

    with pytest.raises(InvalidTask, match=r"the key of its (unique|debounce) names 'z', and it has no such parameter"):
        installed(Some.some)


def test_without_redis_there_are_no_places():
    class Some(TaskController):
        @task("some", unique=Unique())
        def some(self, x: int) -> None: ...

    with pytest.raises(InvalidTask, match="unique"):
        installed(Some.some, broker_url="memory://", result_backend="cache+memory://")


def test_a_class_that_asks_for_places_is_made_for_those_tasks_alone():
    class Some(TaskController):
        @task("some", unique=Unique())
        def some(self, x: int) -> None: ...

        @task("other")
        def other(self) -> None: ...

        @task("waits", unique=Unique(on_conflict="wait"))
        def waits(self) -> None: ...

    assert "Posted" in str(type(installed(Some.some)).__mro__)
    assert "Posted" not in str(type(installed(Some.other)).__mro__)
    assert installed(Some.other).flow is None
    assert not installed(Some.waits).flow.publishes, "who waits is sent as fast as any"


def test_several_paths_make_one_key():
    def function(self: Any, a: int, b: dict[str, int], c: str = "c") -> None: ...

    signature = TaskSignature("some", function)
    key = CallKey(signature, ("a", "b.x"), "unique")
    first = key.of([1, {"x": 2, "y": 3}], {})
    assert key.of([], {"b": {"x": 2}, "a": 1, "c": "else"}) == first
    assert key.of([2, {"x": 1}], {}) != first
    whole = CallKey(signature, None, "unique", whole=True)
    assert whole.of([1, {"x": 2, "y": 3}], {}) == whole.of([1], {"b": {"y": 3, "x": 2}, "c": "c"})


def test_a_report_counts_what_was_dropped_neither_as_sent_nor_as_missing():
    report: BulkReport[None] = BulkReport("some", lambda _: None)  # type: ignore[arg-type, return-value]
    report.rest = 4
    report.note_sent(0, 1)
    report.note_dropped(1, "holder")
    report.note_sent(2, 3)
    assert len(report) == 2
    assert report.unsent == (range(3, 4),)
    assert list(report.ids()) == [report.id_of(0), report.id_of(2)]


def test_two_addresses_of_one_database_are_known_as_one():
    here = connector("redis://:secret@localhost:6379").whereto
    assert connector("redis://localhost:6379/0?socket_timeout=3").whereto == here
    assert connector("redis://localhost:6379/1").whereto != here
    assert connector("redis://localhost:6380/0").whereto != here
    options = {"master_name": "one"}
    sentinel = connector("sentinel://a:1;sentinel://b:2", options=options).whereto
    assert connector("sentinel://b:2;sentinel://a:1", options=options).whereto == sentinel
    assert connector("sentinel://b:2;sentinel://a:1", options={"master_name": "two"}).whereto != sentinel


def test_a_revocation_says_why():
    error = TaskRevoked(task="some", id="1", why=": superseded by 2")
    assert str(error) == "some[1] was revoked: superseded by 2"
    assert isinstance(error, CeleriacError)


def test_a_recorded_call_is_never_dropped():
    class Some(TaskController):
        @task("some", unique=Unique())
        def some(self, x: int) -> None: ...

    class Registry(TasksRegistry):
        some = Some.some

    publisher = RecordingPublisher()
    registry = Registry(publisher)
    assert [registry.some.delay(1).dropped for _ in range(2)] == [False, False]
    assert len(publisher.calls) == 2
