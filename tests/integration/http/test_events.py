"""Tasks followed over server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.office import Office

from celeriac.exceptions import HistoryUnavailable
from celeriac.http import events as streams

pytestmark = pytest.mark.xdist_group("http")
PREFIX = "/api/v1/tasks"


def events(response: httpx.Response) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each event's id, kind and data."""
    said: dict[str, str] = {}
    for line in response.iter_lines():
        name, colon, value = line.partition(": ")
        if colon and name:
            said[name] = value
        elif not line and "data" in said:
            yield said["id"], said["event"], json.loads(said["data"])
            said = {}


def followed(office: Office, task_id: str, **headers: str) -> list[tuple[str, str, dict[str, Any]]]:
    with office.http.stream("GET", f"{PREFIX}/{task_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        return list(events(response))


def test_a_task_is_followed_from_the_queue_to_its_result(idle):
    task_id = idle.http.post(f"{PREFIX}/data.process", json={"data": [1, 2, 3], "pause": 0.3}).json()["task_id"]
    seen: list[tuple[str, str, dict[str, Any]]] = []
    listener = threading.Thread(target=lambda: seen.extend(followed(idle, task_id)))
    listener.start()
    with idle.worker(concurrency=1):
        listener.join(60)
    assert not listener.is_alive()
    assert seen[0][1:] == ("state", {"task_id": task_id, "status": "PENDING", "message": seen[0][2]["message"]})
    progress = [data["progress"] for _, kind, data in seen if kind == "progress"]
    assert [each["current"] for each in progress] == [1, 2, 3]
    assert seen[-1][1:] == ("state", {"task_id": task_id, "status": "SUCCESS", "result": {"processed": 3}})
    assert len({event_id for event_id, _, _ in seen}) == len(seen)


def test_whoever_lost_the_stream_is_told_what_changed_since(idle):
    task_id = idle.http.post(f"{PREFIX}/ping").json()["task_id"]
    with idle.http.stream("GET", f"{PREFIX}/{task_id}/events") as response:
        first_id, _, first = next(events(response))
    assert first["status"] == "PENDING"
    with idle.worker(concurrency=1):
        until(lambda: idle.http.get(f"{PREFIX}/{task_id}").json()["status"] == "SUCCESS")

    resumed = followed(idle, task_id, **{"Last-Event-ID": first_id})
    assert [data["status"] for _, _, data in resumed] == ["SUCCESS"]
    headers = {"Last-Event-ID": resumed[-1][0]}
    assert idle.http.get(f"{PREFIX}/{task_id}/events", headers=headers).status_code == 204


def test_many_listeners_share_one_connection_and_leave_nothing_behind(working):
    task_id = working.http.post(f"{PREFIX}/sleep", json={"seconds": 100}).json()["task_id"]
    with Redis.from_url(working.url) as redis:

        def subscribed() -> int:
            return sum(int(each["sub"]) > 0 for each in redis.client_list())

        before = subscribed()
        ended: list[str] = []

        def listen() -> None:
            url = f"{working.http.base_url}{PREFIX}/{task_id}/events".replace("//api", "/api")
            with httpx.stream("GET", url, timeout=60) as response:
                ended.append(list(events(response))[-1][2]["status"])

        threads = [threading.Thread(target=listen) for _ in range(50)]
        for thread in threads:
            thread.start()
        until(lambda: working.services.streams == 50, timeout=60)
        assert subscribed() <= before + 1
        working.http.delete(f"{PREFIX}/{task_id}", params={"terminate": True})
        for thread in threads:
            thread.join(60)
    assert ended == ["REVOKED"] * 50
    until(lambda: working.services.streams == 0)


def test_hundreds_that_come_back_at_the_same_moment_are_all_let_in(idle):
    task_id = idle.http.post(f"{PREFIX}/ping").json()["task_id"]

    async def story() -> list[int]:
        limits = httpx.Limits(max_connections=400)
        async with httpx.AsyncClient(base_url=idle.http.base_url, timeout=60, limits=limits) as client:

            async def first() -> int:
                async with client.stream("GET", f"{PREFIX}/{task_id}/events") as response:
                    await anext(response.aiter_lines())
                    return response.status_code

            return await asyncio.gather(*(first() for _ in range(300)))

    assert set(asyncio.run(story())) == {200}
    until(lambda: idle.services.streams == 0)
    assert not idle.services.looking


def test_a_client_that_is_gone_in_the_middle_frees_what_it_held(idle):
    task_id = idle.http.post(f"{PREFIX}/ping").json()["task_id"]
    backend: Any = idle.app.backend
    url = f"{idle.http.base_url}{PREFIX}/{task_id}/events".replace("//api", "/api")
    with httpx.stream("GET", url, timeout=60) as response:
        told = events(response)
        next(told)
        until(lambda: backend.subscription._watches)
        assert idle.services.streams == 1
    until(lambda: idle.services.streams == 0)
    until(lambda: not backend.subscription._watches)


def test_a_listener_that_reads_slowly_cannot_make_news_pile_up(idle):
    from celeriac.http.states import MOST_WAITING, _Bounded

    watch = _Bounded([b"key"], subscribed=True)
    for number in range(10 * MOST_WAITING):
        watch.put(b"key", b"%d" % number)
    assert [payload for _, payload in watch.news()] == [
        b"%d" % each for each in range(9 * MOST_WAITING, 10 * MOST_WAITING)
    ]


def test_a_task_that_is_revoked_while_it_waits_ends_its_streams(idle, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT", 0.3)
    task_id = idle.http.post(f"{PREFIX}/ping").json()["task_id"]
    get, answers = idle.history.get, iter([HistoryUnavailable(database="sqlite", reason="away")])

    def away_once(task_id: str) -> Any:
        if (error := next(answers, None)) is not None:
            raise error
        return get(task_id)

    with idle.http.stream("GET", f"{PREFIX}/{task_id}/events", timeout=20) as response:
        told = events(response)
        assert next(told)[2]["status"] == "PENDING"
        assert idle.http.delete(f"{PREFIX}/{task_id}").status_code == 202
        monkeypatch.setattr(idle.history, "get", away_once)
        ((last_id, kind, data),) = told
    assert (kind, data["status"], data["message"]) == ("state", "REVOKED", "Task was revoked")
    assert next(answers, None) is None
    headers = {"Last-Event-ID": last_id}
    assert idle.http.get(f"{PREFIX}/{task_id}/events", headers=headers).status_code == 204


def test_a_task_that_keeps_no_result_ends_its_streams(idle, monkeypatch):
    monkeypatch.setattr(streams, "HEARTBEAT", 0.3)
    task_id = idle.http.post(f"{PREFIX}/batch").json()["task_id"]
    with idle.http.stream("GET", f"{PREFIX}/{task_id}/events", timeout=30) as response:
        told = events(response)
        assert next(told)[2]["status"] == "PENDING"
        with idle.worker(concurrency=1):
            assert [data["status"] for _, _, data in told] == ["SUCCESS"]
