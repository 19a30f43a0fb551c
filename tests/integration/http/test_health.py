"""Whether the service is well, in the whole API and in an application of somebody else's."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Annotated, Any, cast

import httpx
import pytest
from celery import Celery
from fastapi import Depends, FastAPI
from redis import Redis
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import until
from tests.kit.api import serving
from tests.kit.clients import client
from tests.kit.office import Office

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.http import create_router, get_celery_app_dependency
from celeriac.testing.worker import WorkerProcess

pytestmark = pytest.mark.xdist_group("http")
SAMPLE = {
    "status": str,
    "module": str,
    "broker": {"connected": bool, "url": str},
    "workers": {"active": int, "queues": list},
    "tasks": {"completed_last_hour": int, "failed_last_hour": int},
}


def fits(said: dict[str, Any], shape: dict[str, Any]) -> bool:
    return all(
        fits(said[name], kind) if isinstance(kind, dict) else type(said[name]) is kind for name, kind in shape.items()
    )


@pytest.fixture
def foreign(server: PrivateRedis) -> Generator[tuple[FastAPI, httpx.Client, Celery]]:
    """An application of somebody else's, over a server that the test may stop."""
    celery = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": server.url}))
    app = FastAPI()
    app.state.celery = celery
    app.include_router(create_router())
    with client(celery), serving(app) as url, httpx.Client(base_url=url, timeout=30) as http:
        yield app, http, celery


@pytest.mark.proves("S000-5", "S000-14", "S000-32", "S000-33", "H-9")
def test_celery_is_healthy_with_a_worker_degraded_without_and_unhealthy_without_a_broker(foreign, server):
    _, http, _ = foreign
    said = http.get("/celery/status").json()
    assert (said["status"], said["workers"]["active"]) == ("degraded", 0)
    assert fits(said, SAMPLE)

    with WorkerProcess("tests.kit.app", redis_url=server.url, concurrency=1):
        until(lambda: http.get("/celery/status").json()["status"] == "healthy")
        answer = http.get("/celery/status")
        said = answer.json()
        assert answer.status_code == 200
        assert said["module"] == "celery"
        assert said["broker"]["connected"] is True
        assert said["workers"]["active"] == 1
        assert "celery" in said["workers"]["queues"] or "default" in said["workers"]["queues"]
        assert all(type(depth) is int for depth in said["queues"].values())
        assert said["queues"]
    server.stop()

    began = time.monotonic()
    answer = http.get("/celery/status")
    assert (answer.status_code, answer.json()["status"]) == (503, "unhealthy")
    assert answer.json()["broker"]["connected"] is False
    assert fits(answer.json(), SAMPLE)
    assert http.get("/readyz").status_code == 503
    assert http.get("/healthz").json() == {"status": "ok"}
    assert time.monotonic() - began < 20


@pytest.mark.proves("S000-33", "H-9")
def test_the_password_of_the_broker_is_masked(quiet):
    password = str(httpx.URL(quiet.url).password)
    assert len(password) > 8
    answer = quiet.http.get("/celery/status")
    assert password not in answer.text
    assert answer.json()["broker"]["url"].startswith("redis://")


@pytest.mark.proves("S000-32", "S000-34")
def test_what_ended_within_the_hour_is_told_whoever_ran_it(working):
    before = working.http.get("/celery/status").json()["tasks"]
    sent = [working.registry.add.delay(1, 1) for _ in range(5)]
    sent.append(working.registry.fail.delay("on purpose"))
    until(lambda: all(result.ready() for result in sent))

    def counted() -> bool:
        now = working.http.get("/celery/status").json()["tasks"]
        done = now["completed_last_hour"] - before["completed_last_hour"]
        return bool(done >= 5 and now["failed_last_hour"] - before["failed_last_hour"] >= 1)

    until(counted)


@pytest.mark.proves("S000-15", "S000-6")
def test_the_celery_app_is_a_dependency_that_can_be_replaced(foreign):
    app = cast("FastAPI", foreign[0])
    http, celery = foreign[1:]

    @app.post("/tasks/email")
    async def email(celery_app: Annotated[Celery, Depends(get_celery_app_dependency)]) -> dict[str, str]:
        return {"app": str(celery_app.main), "same": str(celery_app is celery)}

    assert http.post("/tasks/email").json() == {"app": str(celery.main), "same": "True"}
    app.dependency_overrides[get_celery_app_dependency] = lambda: Celery("other")
    assert http.post("/tasks/email").json() == {"app": "other", "same": "False"}


@pytest.mark.proves("S000-16", "S000-6", "S000-12", "S000-36")
def test_an_application_of_somebody_elses_queues_a_task_by_name(foreign, server):
    app = cast("FastAPI", foreign[0])
    http, celery = foreign[1:]

    @app.post("/tasks/email")
    async def queue_email(
        to: str, subject: str, celery_app: Annotated[Celery, Depends(get_celery_app_dependency)]
    ) -> dict[str, str]:
        task = celery_app.send_task("send_email", args=[to, subject, "Welcome!"])
        return {"task_id": str(task.id), "status": "queued"}

    said = http.post("/tasks/email", params={"to": "a@b.c", "subject": "Hello"}).json()
    assert set(said) == {"task_id", "status"}
    assert said["status"] == "queued"
    with WorkerProcess("tests.kit.functions", redis_url=server.url, concurrency=1):
        result = until(lambda: (it := celery.AsyncResult(said["task_id"])).ready() and it, timeout=60)
    assert result.get() == {"status": "sent", "to": "a@b.c"}


def test_readiness_asks_and_liveness_does_not(quiet):
    assert quiet.http.get("/readyz").json() == {"status": "ok"}
    assert quiet.http.get("/healthz").json() == {"status": "ok"}


@pytest.mark.proves("S004-16")
def test_workers_and_what_they_have_in_hand_are_shown_without_secrets(working: Office):
    slow = working.registry.sleep.delay(60)
    later = working.registry.login.s("ada", "hunter22").set(countdown=300).delay()  # type: ignore[arg-type]
    until(lambda: working.app.AsyncResult(slow.id).state == "STARTED")

    worker = until(lambda: working.http.get("/api/v1/workers").json()["workers"])[0]
    assert worker["pid"]
    assert worker["concurrency"] == 2
    assert worker["queues"]

    def inspected(aspect: str) -> list[dict[str, Any]]:
        told = working.http.get(f"/api/v1/inspect/{aspect}").json()["workers"]
        return [each for tasks in told.values() for each in tasks]

    until(lambda: slow.id in [each["id"] for each in inspected("active")])
    until(lambda: later.id in [each["request"]["id"] for each in inspected("scheduled")])
    assert inspected("reserved") is not None
    assert "hunter22" not in working.http.get("/api/v1/inspect/scheduled").text
    assert working.http.get("/api/v1/inspect/everything").status_code == 422
    later.revoke()
    slow.revoke(terminate=True)


def test_queues_tell_how_much_waits_how_long_and_how_fast_it_moves(idle):
    for _ in range(20):
        idle.registry.add.delay(1, 1)

    def queue() -> dict[str, Any]:
        found = idle.http.get("/api/v1/queues").json()["queues"]
        return next(each for each in found if each["depth"] or each["rate_out"])

    first = queue()
    assert first["depth"] == 20
    assert first["oldest_seconds"] is not None
    assert first["rate_out"] is None
    with idle.worker(concurrency=1):
        moved = until(lambda: (now := queue())["rate_out"] and now)
    assert moved["depth"] == 0
    assert moved["drain_seconds"] == 0
    with Redis.from_url(idle.url) as redis:
        assert redis.keys("celeriac.outcomes:*")
