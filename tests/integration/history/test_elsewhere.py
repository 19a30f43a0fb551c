"""A broker that is RabbitMQ, results on another database, a bulk, and many writers."""

from __future__ import annotations

import pytest
from redis import Redis
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.kit.chronicle import APP_NAME, Chronicle
from tests.kit.clients import client
from tests.kit.service import Container

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.history.records import HistoryFilter, HistoryState
from celeriac.history.service import TaskHistory
from celeriac.testing.worker import WorkerProcess

WAIT = 90
pytestmark = [pytest.mark.xdist_group("history"), pytest.mark.timeout(180)]


@pytest.fixture(params=forms(["sqlite"], ["postgresql"]))
def kind(request):
    return request.param


def test_with_rabbitmq_events_go_where_results_are(url, redis_url, rabbitmq_url):
    with Redis.from_url(redis_url) as redis:
        redis.flushdb()
    said = {"broker_url": rabbitmq_url, "result_backend": redis_url, "environment": "test"}
    app = create_celery_app(
        CeleryAppConfig.from_mapping({**said, "history_enabled": True, "history_database_url": url})
    )
    env = {"CELERY_BROKER_URL": rabbitmq_url, "CELERY_RESULT_BACKEND": redis_url, "DATABASE_URL": url}
    history = TaskHistory(app)
    with client(app), WorkerProcess(APP_NAME, redis_url=redis_url, env=env):
        sent = app.send_task("echo", ("hello",))
        assert until(lambda: history.get(sent.id), timeout=WAIT).name == "echo"
        until(lambda: history.count(HistoryFilter(states=(HistoryState.SUCCEEDED,))) == 1, timeout=WAIT)
        record = history.get(sent.id)
        assert record is not None
        assert record.queued_at is not None
        assert record.result == "hello"
    history.close()


def test_a_bulk_is_told_of_whole(chronicled):
    Chronicle.install(chronicled.app, Container())
    registry = Chronicle(CeleryPublisher(chronicled.app))
    chronicled.start()
    report = registry.quiet.enqueue_many([()] * 1500 + [(0.0,)] * 500)
    assert len(report) == 2000
    done = HistoryFilter(states=(HistoryState.SUCCEEDED,), tag="billing")
    until(lambda: chronicled.history.count(HistoryFilter(states=(HistoryState.SUCCEEDED,))) == 2000, timeout=WAIT)
    assert chronicled.history.count(done) == 0
    whole = next(iter(chronicled.history.ids(HistoryFilter(name="quiet"), limit=1)))
    assert chronicled.history.get(whole).replayable


def test_two_workers_share_the_writing(chronicled):
    for _ in range(2):
        chronicled.start(concurrency=1)
    ids = [chronicled.send("echo", number) for number in range(400)]
    done = HistoryFilter(states=(HistoryState.SUCCEEDED,))
    until(lambda: chronicled.history.count(done) == len(ids), timeout=WAIT)
    until(lambda: chronicled.history.figures().backlog == 0, timeout=WAIT)
