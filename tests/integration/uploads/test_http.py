"""Files sent over HTTP, to a real server."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis import Redis
from tests.faults.harness.waiting import until
from tests.integration.uploads.conftest import LARGEST, row_of
from tests.kit.house import House, house

from celeriac.history.records import HistoryState
from celeriac.http import idempotency
from celeriac.testing.servers import redis_server
from core.configs.settings import StorageSettings

UPLOADS = "/api/v1/uploads"
WAIT = 20
MEGABYTE = 1 << 20


def waiting(inbox: Path) -> list[str]:
    return [path.name for path in inbox.iterdir()]


def ended(home: House, url: str) -> dict[str, Any] | None:
    told: dict[str, Any] = home.http.get(url).json()
    return told if told["status"] == "SUCCESS" else None


def test_a_file_that_is_sent_is_processed(home: House, inbox: Path) -> None:
    content = os.urandom(5 * MEGABYTE)
    answer = home.http.post(UPLOADS, content=content)
    assert answer.status_code == 202
    told = answer.json()
    assert told == {
        "file_id": told["file_id"],
        "task_id": told["task_id"],
        "check_url": f"/api/v1/tasks/{told['task_id']}",
    }
    assert answer.headers["location"] == told["check_url"]
    row = until(lambda: row_of(home, told["file_id"]), timeout=WAIT)
    assert (row.size, row.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    record = until(lambda: ended(home, told["check_url"]), timeout=WAIT)
    assert record["result"] == {"file_id": told["file_id"], "processed": True}
    assert told["file_id"] not in waiting(inbox)


def test_pieces_of_unknown_number_are_taken(home: House) -> None:
    answer = home.http.post(UPLOADS, content=iter([b"a" * MEGABYTE] * 3))
    row = until(lambda: row_of(home, answer.json()["file_id"]), timeout=WAIT)
    assert row.size == 3 * MEGABYTE


def test_what_is_too_large_is_refused_whether_it_says_so_or_not_and_leaves_nothing(home: House, inbox: Path) -> None:
    before = waiting(inbox)
    said = home.http.post(UPLOADS, content=b"a" * (LARGEST + 1))

    def pieces() -> Iterator[bytes]:
        yield from [b"a" * MEGABYTE] * 9

    unsaid = home.http.post(UPLOADS, content=pieces())
    for answer in (said, unsaid):
        assert answer.status_code == 413
        assert answer.json()["detail"] == f"The body is larger than {LARGEST} bytes."
    assert waiting(inbox) == before


def test_an_empty_file_is_refused(home: House, inbox: Path) -> None:
    before = waiting(inbox)
    answer = home.http.post(UPLOADS, content=b"")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:celeriac:empty-upload")
    assert waiting(inbox) == before


def test_a_file_that_breaks_off_leaves_nothing(home: House, inbox: Path) -> None:
    before = waiting(inbox)
    url = home.http.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        head = f"POST {UPLOADS} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head.encode() + b"only this")
        until(lambda: waiting(inbox) != before, timeout=WAIT, what="the beginning of the file")
    until(lambda: waiting(inbox) == before, timeout=WAIT, what="the end of what broke off")


@pytest.fixture
def key() -> dict[str, str]:
    """A header with a key that nobody has used."""
    return {"Idempotency-Key": uuid4().hex}


def test_a_request_that_is_sent_again_with_its_key_is_one_file(home: House, key: dict[str, str]) -> None:
    content: list[Any] = [b"content", b"content", iter([b"con", b"tent"])]
    first, *others = (home.http.post(UPLOADS, content=each, headers=key) for each in content)
    assert first.status_code == 202
    assert "idempotency-replayed" not in first.headers
    for again in others:
        assert (again.status_code, again.json()) == (202, first.json())
        assert again.headers["idempotency-replayed"] == "true"


def test_the_same_key_with_another_file_is_refused_whatever_its_length(home: House, key: dict[str, str]) -> None:
    first = home.http.post(UPLOADS, content=b"content", headers=key)
    for content in (b"CONTENT", b"longer content", iter([b"con", b"TENT"]), b""):
        other = home.http.post(UPLOADS, content=content, headers=key)
        assert (other.status_code, other.json()["type"]) == (422, "urn:celeriac:idempotency-key-reused")
    assert home.http.post(UPLOADS, content=b"a" * (LARGEST + 1), headers=key).status_code == 413
    assert home.http.post(UPLOADS, content=b"content", headers=key).json() == first.json()


def test_a_file_that_broke_off_can_be_sent_again_at_once(home: House, inbox: Path, key: dict[str, str]) -> None:
    before = waiting(inbox)
    url = home.http.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        head = f"POST {UPLOADS} HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 1000\r\n"
        told = "".join(f"{name}: {value}\r\n" for name, value in key.items())
        connection.sendall(f"{head}{told}\r\n".encode() + b"only this")
        until(lambda: waiting(inbox) != before, timeout=WAIT, what="the beginning of the file")
        busy = home.http.post(UPLOADS, content=b"all of it", headers=key)
        assert (busy.status_code, busy.json()["type"]) == (409, "urn:celeriac:request-in-flight")

    def taken() -> httpx.Response | None:
        answer = home.http.post(UPLOADS, content=b"all of it", headers=key)
        return answer if answer.status_code == 202 else None

    assert "idempotency-replayed" not in until(taken, timeout=5, what="an end of the first request").headers


def test_a_slow_file_is_in_flight_for_as_long_as_it_comes(
    home: House, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "IN_FLIGHT", 0.6)
    codes: list[int] = []
    url = str(home.http.base_url).rstrip("/") + UPLOADS

    def slowly() -> Iterator[bytes]:
        for _ in range(4):
            yield b"piece"
            time.sleep(0.4)
            codes.append(httpx.post(url, content=b"x", headers=key).status_code)

    assert home.http.post(UPLOADS, content=slowly(), headers=key).status_code == 202
    assert codes == [409] * 4


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[House]:
    """The service without a worker, for one test."""
    url = str(tmp_path / "files")
    said: dict[str, Any] = {"storage_settings": StorageSettings(url=url, max_upload=LARGEST)}
    with redis_server() as redis, house(redis, f"sqlite:///{tmp_path / 'service.db'}", **said) as running:
        running.env["STORAGE_URL"] = url
        yield running


def forget_the_answer(home: House) -> None:
    """Leave what a process leaves that died between the commit and the answer."""
    with Redis.from_url(home.url) as redis:
        (place,) = redis.keys("*idempotency:*")
        redis.hdel(place, "answer")
        redis.hset(place, "until", 0)


def test_a_process_that_died_before_it_answered_has_made_the_one_file_and_task(
    closed: House, tmp_path: Path, key: dict[str, str]
) -> None:
    first = closed.http.post(UPLOADS, content=b"content", headers=key)
    forget_the_answer(closed)
    other = closed.http.post(UPLOADS, content=b"CONTENT", headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:celeriac:idempotency-key-reused")
    again = closed.http.post(UPLOADS, content=b"content", headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    inbox = tmp_path / "files" / "inbox"
    assert waiting(inbox) == [first.json()["file_id"]]

    with closed.worker(concurrency=1):
        closed.ended(first.json()["task_id"])
        forget_the_answer(closed)
        late = closed.http.post(UPLOADS, content=b"content", headers=key)
        assert (late.status_code, late.json()) == (202, first.json())
        last = closed.http.post(UPLOADS, content=b"last")
        record = closed.ended(last.json()["task_id"])
        assert record.state is HistoryState.SUCCEEDED
        two = {first.json()["task_id"], last.json()["task_id"]}
        until(lambda: two <= listed(closed))  # which is a moment behind
        assert listed(closed) == two
    assert len(closed.ended(first.json()["task_id"]).attempts) == 1
    assert waiting(inbox) == []


def listed(house: House) -> set[str]:
    return {each["task_id"] for each in house.http.get("/api/v1/tasks").json()["tasks"]}


def test_other_bodies_stay_small(home: House) -> None:
    answer = home.http.post("/api/v1/tasks/ping", content=b" " * 2 * MEGABYTE)
    assert answer.status_code == 413
