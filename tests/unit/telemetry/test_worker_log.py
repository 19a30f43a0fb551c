"""What real workers write: every line in one form, with its task, and no password."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from redis import Redis
from tests.faults.harness.forms import forms
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.testing.fixtures import StartWorker
from celeriac.testing.worker import WorkerProcess


@pytest.fixture(autouse=True)
def _the_worker_finds_its_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture(autouse=True)
def _nothing_waits(redis_url: str) -> None:
    """A message that another test left, of a task that this worker does not know, would be an error of its own."""
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()


def _send(redis_url: str, *names: str) -> dict[str, str]:
    """Run these tasks to their end, and return their ids."""
    ids: dict[str, str] = {}
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": redis_url}))) as app:
        for name in names:
            result = app.send_task(name)
            result.get(timeout=20, propagate=False)
            ids[name] = result.id
    return ids


def _lines(worker: WorkerProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in worker.log.splitlines() if line.startswith('{"')]


@pytest.mark.proves("H-9")
@pytest.mark.parametrize("pool", forms(["prefork", "threads"], ["solo"]))
def test_every_line_of_a_task_names_it(
    pool: Literal["prefork", "threads", "solo"], redis_url: str, celery_worker: StartWorker
) -> None:
    # On a busy machine a pool's process may need longer to start than Celery waits for it, which is an error line too.
    worker = celery_worker("talking_app", pool=pool, env={"CELERY_WORKER_PROC_ALIVE_TIMEOUT": "60"})
    ids = _send(redis_url, "talk", "talk.coroutine", "talk.fail")
    worker.stop()
    lines = _lines(worker)
    for event, name in {
        "by structlog": "talk",
        "by logging": "talk",
        "by print": "talk",
        "by a coroutine": "talk.coroutine",
    }.items():
        (line,) = (line for line in lines if line["event"] == event)
        assert (line["task_id"], line["task_name"], line["attempt"]) == (ids[name], name, 1)
    errors = [line for line in lines if line["level"] == "error"]
    assert len(errors) == 1, errors
    (failure,) = errors
    assert failure["task_id"] == ids["talk.fail"]
    assert "ConnectionError: redis://app:***@cache/0 is gone" in failure["exception"]
    received = [line["task_id"] for line in lines if line["event"].endswith("received")]
    assert received == list(ids.values())
    assert {line["service"] for line in lines} == {"talking"}
    assert "hunter2" not in worker.log


def test_the_spans_of_a_pools_processes_are_not_lost_when_they_end(redis_url: str, celery_worker: StartWorker) -> None:
    worker = celery_worker("talking_app", pool="prefork", env={"OTEL_TRACES_EXPORTER": "console"})
    _send(redis_url, "talk")
    worker.stop()
    assert worker.log.count('"name": "run talk"') == 1
    (line,) = (line for line in _lines(worker) if line.get("event") == "by structlog")
    assert f'"trace_id": "0x{line["trace_id"]}"' in worker.log
