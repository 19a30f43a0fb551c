from __future__ import annotations

from typing import Any

import pytest
from celery.result import AsyncResult
from tests.kit.service import Registry

from celeriac import Progress, TaskResult, TaskState, create_celery_app
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import InvalidResult, ResultTimeout, TaskRevoked


@pytest.fixture
def app():
    return create_celery_app(
        CeleryAppConfig.from_mapping({"broker_url": "memory://", "result_backend": "cache+memory://"})
    )


def stored(app, definition, value, state) -> TaskResult[Any]:
    raw: Any = AsyncResult(app.backend.app.oid + definition.name, app=app)
    app.backend.store_result(raw.id, value, state)
    return TaskResult(definition.name, raw, definition.signature.load_result)


@pytest.mark.proves("S004-14")
@pytest.mark.parametrize(
    ("meta", "current", "total", "percent", "message"),
    [
        ({"current": 1, "total": 4, "status": "Fetching"}, 1, 4, 25, "Fetching"),
        ({"current": 2, "total": 3}, 2, 3, 66, ""),
        ({"status": "Starting..."}, 0, 100, 0, "Starting..."),
        ({}, 0, 100, 0, ""),
        ({"current": 5, "total": 0}, 5, 0, 0, ""),
        ({"current": 1, "total": 2, "message": "Half"}, 1, 2, 50, "Half"),
    ],
)
def test_percent_is_computed_from_what_the_task_said(meta, current, total, percent, message):
    progress = Progress.of(meta)
    assert (progress.current, progress.total, progress.percent, progress.message) == (current, total, percent, message)


def test_whatever_else_the_task_said_is_kept():
    assert Progress.of({"current": 1, "total": 2, "file": "a.csv"}).details == {"file": "a.csv"}


def test_progress_is_read_only_while_the_task_is_under_way(app):
    under_way = stored(app, Registry.process, {"current": 1, "total": 2}, "PROGRESS")
    assert under_way.state is TaskState.PROGRESS
    assert under_way.progress == Progress(1, 2, {})
    ended = stored(app, Registry.process, {"processed": 2}, "SUCCESS")
    assert ended.progress is None


def test_a_state_of_the_tasks_own_counts_as_progress(app):
    assert stored(app, Registry.ping, {"status": "x"}, "DOWNLOADING").state is TaskState.PROGRESS


def test_a_result_of_another_type_is_refused_when_it_is_read(app):
    result = stored(app, Registry.add, "three", "SUCCESS")
    with pytest.raises(InvalidResult) as refused:
        result.get(timeout=5)
    assert str(refused.value) == (
        "add declares that it returns int, but the value is something else: "
        "Input should be a valid integer, unable to parse string as an integer"
    )


def test_a_result_that_does_not_come_says_what_state_the_task_is_in(app):
    result = stored(app, Registry.ping, None, "STARTED")
    with pytest.raises(ResultTimeout) as refused:
        result.get(timeout=0.01)
    assert str(refused.value) == f"ping[{result.id}] has no result after 0.01 s; its state is STARTED"


def test_the_result_of_a_revoked_task_says_so(app):
    result = stored(app, Registry.ping, None, "REVOKED")
    assert result.state is TaskState.REVOKED
    assert result.ready()


def test_reading_a_revoked_task_raises_ours_and_celerys_error(app):
    from celery.exceptions import TaskRevokedError

    raw: Any = AsyncResult("revoked", app=app)
    app.backend.mark_as_revoked("revoked", "revoked")
    result = TaskResult("ping", raw, lambda plain: plain)
    with pytest.raises(TaskRevoked) as refused:
        result.get(timeout=5)
    assert str(refused.value) == "ping[revoked] was revoked"
    assert isinstance(refused.value, TaskRevokedError)


def test_what_the_task_raised_passes_as_it_is(app):
    result = stored(app, Registry.fail, KeyError("k"), "FAILURE")
    with pytest.raises(KeyError, match="k"):
        result.get(timeout=5)


def test_a_timeout_that_the_task_itself_raised_is_not_mistaken_for_ours(app):
    result = stored(app, Registry.fail, TimeoutError("the mail server"), "FAILURE")
    with pytest.raises(TimeoutError, match="the mail server") as raised:
        result.get(timeout=5)
    assert not isinstance(raised.value, ResultTimeout)


def test_forgetting_a_result_leaves_nothing(app):
    result = stored(app, Registry.ping, {"result": "pong"}, "SUCCESS")
    result.forget()
    assert AsyncResult(result.id, app=app).state == "PENDING"


def test_a_result_never_shows_its_value():
    assert repr(TaskResult("ping", AsyncResult("7", app=create_celery_app()), str)) == "<result of ping[7]>"
