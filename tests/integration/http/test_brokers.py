"""The whole flow on either broker and either database: Redis and SQLite as in development, RabbitMQ and PostgreSQL."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from redis import Redis
from tests.faults.harness.waiting import until
from tests.integration.http.conftest import made, with_tables
from tests.kit.office import Office, office

pytestmark = pytest.mark.xdist_group("http-brokers")
TASKS = "/api/v1/tasks"


@pytest.fixture(params=["redis-sqlite", "redis-postgresql", "rabbitmq-postgresql"])
def whole(request: pytest.FixtureRequest, own_url: str, tmp_path: Path) -> Generator[Office]:
    """All of it, without a worker yet."""
    broker, _, database = str(request.param).partition("-")
    with Redis.from_url(own_url) as redis:
        redis.flushdb()
    place = made(tmp_path) if database == "sqlite" else with_tables(request.getfixturevalue("database_url"))
    other = {"broker_url": request.getfixturevalue("rabbitmq_url")} if broker == "rabbitmq" else {}
    with office(own_url, place, **other) as closed:
        yield closed


def listed(office: Office, **params: str) -> set[str]:
    return {task["task_id"] for task in office.http.get(TASKS, params=params).json()["tasks"]}


@pytest.mark.proves("S001-8", "S001-14", "S001-15", "S001-16", "S001-17", "S001-19", "H-11")
def test_what_is_posted_is_run_told_and_remembered(whole, tmp_path):
    assert whole.http.get(f"{TASKS}/nobody-knows").status_code == 404
    assert whole.http.get("/celery/status").json()["status"] == "degraded"
    path = tmp_path / "ran"
    sent = whole.http.post(TASKS, json={"name": "add", "kwargs": {"x": 20, "y": 22}}).json()["task_id"]
    gone = whole.http.post(f"{TASKS}/record", json={"path": str(path), "line": "revoked"}).json()["task_id"]
    bad = whole.http.post(f"{TASKS}/fail", json={"message": "no luck"}).json()["task_id"]
    assert whole.http.get(f"{TASKS}/{sent}").json()["status"] == "PENDING"
    assert whole.http.delete(f"{TASKS}/{gone}").json()["status"] == "REVOKED"

    with whole.worker():
        until(lambda: whole.http.get(f"{TASKS}/{sent}").json()["status"] == "SUCCESS", timeout=60)
        assert whole.http.get(f"{TASKS}/{sent}").json()["result"] == 42
        until(lambda: whole.http.get(f"{TASKS}/{bad}").json()["status"] == "FAILURE", timeout=60)
        assert whole.http.get(f"{TASKS}/{bad}").json()["error"] == "no luck"
        until(lambda: whole.http.get("/celery/status").json()["status"] == "healthy", timeout=60)
        # The database may hold what another test did.
        until(lambda: {sent, gone, bad} <= listed(whole), timeout=60)
        until(lambda: gone in listed(whole, state="revoked"), timeout=60)
        assert bad in listed(whole, state="FAILURE")
        assert sent not in listed(whole, state="FAILURE")
        events = whole.http.get(f"{TASKS}/{sent}/events").text
        assert '"status":"SUCCESS","result":42' in events
        assert whole.http.get("/api/v1/workers").json()["workers"]
        until(lambda: all(each["depth"] == 0 for each in whole.http.get("/api/v1/queues").json()["queues"]))

    assert not path.exists()
    whole.app.AsyncResult(sent).forget()
    told = whole.http.get(f"{TASKS}/{sent}").json()
    assert (told["status"], told["result"]) == ("SUCCESS", 42)
