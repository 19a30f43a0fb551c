"""With the broker away, callers have a clear answer in time, and nobody else waits."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.integration.http.conftest import made
from tests.kit.office import Office, office

from celeriac.testing.worker import WorkerProcess

pytestmark = [
    pytest.mark.xdist_group("http"),
    # What the proxy cuts off, asyncio lets go of when it likes.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <function _SelectorTransport"),
]
TASKS = "/api/v1/tasks"
GENEROUS = 15.0


@pytest.fixture
def through(server: PrivateRedis, proxy: TcpProxy, tmp_path: Path) -> Generator[Office]:
    """All of it, over a connection that can be cut or made to swallow everything."""
    del server
    with office(proxy.url(), made(tmp_path)) as running:
        yield running


@pytest.mark.proves("H-12", "S000-35")
@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_a_broker_that_is_away_is_a_503_that_says_when_to_come_again(through, proxy, fault):
    assert through.http.post(f"{TASKS}/ping").status_code == 202
    getattr(proxy, fault)()
    for method, path in (("POST", f"{TASKS}/ping"), ("GET", f"{TASKS}/some-id"), ("DELETE", f"{TASKS}/some-id")):
        began = time.monotonic()
        answer = through.http.request(method, path)
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() - began < GENEROUS
    assert through.http.get("/api/v1/queues").status_code == 503
    assert through.http.get("/api/v1/workers").status_code == 503
    assert through.http.get("/celery/status").json()["status"] == "unhealthy"
    assert through.http.get("/healthz").status_code == 200

    proxy.mend()
    for _ in range(100):
        if through.http.post(f"{TASKS}/ping").status_code == 202:
            return
        time.sleep(0.2)
    pytest.fail("it never came back")


@pytest.mark.proves("H-12", "S000-35")
def test_other_requests_go_on_while_many_wait_for_a_broker_that_swallows_everything(through, proxy):
    proxy.blackhole()

    async def story() -> tuple[list[float], list[int]]:
        async with httpx.AsyncClient(base_url=through.http.base_url, timeout=60) as client:
            posts = [asyncio.create_task(client.post(f"{TASKS}/ping")) for _ in range(30)]
            times: list[float] = []
            for _ in range(30):
                began = time.monotonic()
                assert (await client.get("/healthz")).status_code == 200
                times.append(time.monotonic() - began)
                await asyncio.sleep(0.02)
            return times, [(await post).status_code for post in posts]

    times, codes = asyncio.run(story())
    assert set(codes) == {503}
    assert statistics.median(times) < 1.0  # a loop that is blocked answers after the budget of two seconds


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_a_task_that_asks_for_it_is_taken_while_the_broker_is_away_and_sent_later(server, proxy, tmp_path, fault):
    path, database = tmp_path / "lines", made(tmp_path)
    with office(proxy.url(), database, outbox_enabled=True) as running:
        assert running.http.post(f"{TASKS}/ping").status_code == 202
        getattr(proxy, fault)()
        answers = [
            running.http.post(f"{TASKS}/record.surely", json={"path": str(path), "line": str(number)})
            for number in range(3)
        ]
        assert [answer.status_code for answer in answers] == [202] * 3, answers[0].text
        assert running.http.post(f"{TASKS}/record", json={"path": str(path), "line": "lost"}).status_code == 503
        ids = [answer.json()["task_id"] for answer in answers]
        assert len(set(ids)) == 3
        env = {"CELERY_OUTBOX_ENABLED": "true", "DATABASE_URL": database}
        with WorkerProcess("tests.kit.app", redis_url=server.url, env=env, concurrency=1):
            until(lambda: path.exists() and len(path.read_text().split()) == 3, timeout=60)
            assert path.read_text().split() == ["0", "1", "2"]
            proxy.mend()
            until(lambda: running.http.get(f"{TASKS}/{ids[2]}").json().get("status") == "SUCCESS", timeout=60)


def test_without_an_outbox_such_a_task_is_refused_like_any_other(through, proxy, tmp_path):
    proxy.refuse()
    body = {"path": str(tmp_path / "lines"), "line": "1"}
    assert through.http.post(f"{TASKS}/record.surely", json=body).status_code == 503
