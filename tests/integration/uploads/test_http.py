"""Files sent over HTTP, to a real server."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.harness.waiting import until
from tests.integration.uploads.conftest import LARGEST, row_of
from tests.kit.house import House

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


@pytest.mark.parametrize("key", ["one-key"])
def test_a_request_that_is_sent_again_with_its_key_is_one_file(home: House, key: str) -> None:
    first, again = (home.http.post(UPLOADS, content=b"content", headers={"Idempotency-Key": key}) for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"


def test_other_bodies_stay_small(home: House) -> None:
    answer = home.http.post("/api/v1/tasks/ping", content=b" " * 2 * MEGABYTE)
    assert answer.status_code == 413
