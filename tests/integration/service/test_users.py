"""Users over HTTP: kept together with the letter that welcomes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from tests.faults.harness.waiting import until
from tests.kit.house import House

from celeriac.history.records import HistoryState

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(90)]
USERS = "/api/v1/users"
numbers = count()


def fresh() -> str:
    return f"ada{next(numbers)}@example.org"


@pytest.mark.proves("S002-20", "S002-13")
def test_a_new_user_is_answered_at_once_and_welcomed_by_a_letter(home: House):
    email = fresh()
    answer = home.http.post(USERS, json={"email": email.upper(), "name": "Ada Lovelace"})
    assert answer.status_code == 201
    user = answer.json()
    created = datetime.fromisoformat(user.pop("created"))
    assert abs((datetime.now(UTC) - created).total_seconds()) < 3600
    assert user == {"id": user["id"], "email": email, "name": "Ada Lovelace"}
    assert answer.headers["Location"] == f"{USERS}/{user['id']}"

    (letter,) = until(lambda: home.mail.to(email), what="the letter")
    assert letter.message["Subject"] == "Welcome!"
    task_id = letter.id.strip("<>").partition("@")[0]
    record = home.ended(task_id)
    assert (record.name, record.state) == ("email.send_welcome", HistoryState.SUCCEEDED)
    assert home.http.get(answer.headers["Location"]).json() == answer.json()


def test_an_address_is_taken_once_however_it_is_written(home: House):
    email = fresh()
    first = home.http.post(USERS, json={"email": email})
    assert first.status_code == 201
    for written in (email, email.upper()):
        again = home.http.post(USERS, json={"email": written})
        assert again.status_code == 409
        assert again.headers["content-type"] == "application/problem+json"
        assert again.json()["type"] == "urn:celeriac:email-taken"
        assert email in again.json()["detail"]
    assert len(until(lambda: home.mail.to(email))) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@b.c\nBcc: d@e.f"}, "email"),
        ({}, "email"),
        ({"email": "ada@example.org", "name": "x" * 201}, "name"),
        ({"email": "ada@example.org", "name": "a\x00b"}, "name"),
        ({"email": "ada@example.org", "admin": True}, "admin"),
    ],
)
def test_what_is_no_user_is_refused_by_name(home: House, body, field):
    answer = home.http.post(USERS, json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_a_body_that_is_no_json_is_refused_as_everywhere(home: House):
    answer = home.http.post(USERS, content=b"{", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:celeriac:invalid-json")
    assert home.http.post(USERS, content=b"email=x").status_code == 415


@pytest.mark.parametrize("user_id", [0, -1, 999_999, 2**31, 2**70])
def test_an_unknown_user_is_a_404(home: House, user_id):
    for answer in (home.http.get(f"{USERS}/{user_id}"), home.http.post(f"{USERS}/{user_id}/export")):
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:celeriac:unknown-user"
        assert str(user_id) in answer.json()["detail"]


def test_a_request_with_a_key_counts_once_however_often_it_comes(home: House):
    email, key = fresh(), {"Idempotency-Key": "one of mine"}
    first, again = (home.http.post(USERS, json={"email": email}, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = home.http.post(USERS, json={"email": fresh()}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:celeriac:idempotency-key-reused")


def test_what_a_user_did_is_part_of_their_export(home: House):
    user_id = home.http.post(USERS, json={"email": fresh()}).json()["id"]
    for plant in ("fern", "aloe"):
        noted = home.http.post(
            f"{USERS}/{user_id}/activities", json={"kind": "ordered", "details": {"plant": plant, "pieces": 2}}
        )
        assert (noted.status_code, noted.content) == (204, b"")
    task_id = home.http.post(f"{USERS}/{user_id}/export").json()["task_id"]
    home.ended(task_id)
    path = home.http.get(f"/api/v1/tasks/{task_id}").json()["result"]["file_path"]
    exported = json.loads(Path(path).read_text())
    assert [(each["kind"], each["details"]["plant"]) for each in exported["activities"]] == [
        ("ordered", "fern"),
        ("ordered", "aloe"),
    ]


def test_a_key_of_a_request_that_was_refused_is_free(home: House):
    taken, key = fresh(), {"Idempotency-Key": "two of mine"}
    assert home.http.post(USERS, json={"email": taken}).status_code == 201
    assert home.http.post(USERS, json={"email": taken}, headers=key).status_code == 409
    assert home.http.post(USERS, json={"email": fresh()}, headers=key).status_code == 201


def test_what_a_user_did_is_noted_once_by_a_key(home: House):
    user_id = home.http.post(USERS, json={"email": fresh()}).json()["id"]
    url, key = f"{USERS}/{user_id}/activities", {"Idempotency-Key": "one order"}
    assert home.http.post(f"{USERS}/0/activities", json={"kind": "ordered"}, headers=key).status_code == 404
    first, again = (home.http.post(url, json={"kind": "ordered"}, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert again.headers["Idempotency-Replayed"] == "true"
    other = home.http.post(url, json={"kind": "returned"}, headers=key)
    assert (other.status_code, other.json()["type"]) == (422, "urn:celeriac:idempotency-key-reused")

    task_id = home.http.post(f"{USERS}/{user_id}/export").json()["task_id"]
    home.ended(task_id)
    path = home.http.get(f"/api/v1/tasks/{task_id}").json()["result"]["file_path"]
    assert [each["kind"] for each in json.loads(Path(path).read_text())["activities"]] == ["ordered"]


@pytest.mark.parametrize("user_id", [0, 999_999, 2**31, 2**70])
def test_nothing_is_noted_of_nobody(home: House, user_id):
    answer = home.http.post(f"{USERS}/{user_id}/activities", json={"kind": "ordered"})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:celeriac:unknown-user")


@pytest.mark.parametrize(
    "body", [{}, {"kind": ""}, {"kind": "x" * 101}, {"kind": "x", "details": 1}, {"kind": "x", "at": 1}]
)
def test_what_is_no_activity_is_refused(home: House, body):
    assert home.http.post(f"{USERS}/1/activities", json=body).status_code == 422


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_a_number_that_json_does_not_know_is_refused_as_the_callers_fault(home: House, number):
    user_id = home.http.post(USERS, json={"email": fresh()}).json()["id"]
    answer = home.http.post(
        f"{USERS}/{user_id}/activities",
        content=f'{{"kind": "measured", "details": {{"value": {number}}}}}',
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:celeriac:unfit-details")


@pytest.mark.proves("S002-21")
def test_an_export_is_asked_for_in_the_words_of_the_sources(home: House):
    user_id = home.http.post(USERS, json={"email": fresh()}).json()["id"]
    answer = home.http.post(f"{USERS}/{user_id}/export?format=json")
    assert answer.status_code == 202
    told = answer.json()
    assert told == {"task_id": told["task_id"], "status": "pending", "check_url": f"/api/v1/tasks/{told['task_id']}"}

    assert home.ended(told["task_id"]).name == "export_user_data"
    seen = home.http.get(told["check_url"]).json()
    assert seen["status"] == "SUCCESS"
    assert seen["result"]["status"] == "completed"


def test_a_format_that_nobody_writes_is_refused(home: House):
    user_id = home.http.post(USERS, json={"email": fresh()}).json()["id"]
    answer = home.http.post(f"{USERS}/{user_id}/export?format=pdf")
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["query.format"]
