"""Tasks listed, and ids that nobody knows."""

from __future__ import annotations

import pytest
from tests.faults.harness.waiting import until
from tests.kit.office import Office

pytestmark = pytest.mark.xdist_group("http")
PREFIX = "/api/v1/tasks"


@pytest.mark.proves("S001-14")
def test_tasks_are_listed_by_filter_and_page_by_page(idle):
    sent = [idle.http.post(f"{PREFIX}/add", json={"x": number}).json()["task_id"] for number in range(5)]
    other = idle.http.post(f"{PREFIX}/ping").json()["task_id"]
    with idle.worker(concurrency=1):
        until(lambda: len(idle.http.get(PREFIX, params={"state": "SUCCESS"}).json()["tasks"]) == 6)

    def listed(**params: object) -> list[str]:
        found: list[str] = []
        cursor: str | None = None
        while True:
            page = idle.http.get(PREFIX, params={**params, **({"cursor": cursor} if cursor else {})}).json()
            found += [task["task_id"] for task in page["tasks"]]
            cursor = page["cursor"]
            if cursor is None:
                return found

    assert listed(limit=2) == [other, *reversed(sent)]
    assert listed(limit=2, name="add") == list(reversed(sent))
    assert listed(state="succeeded", name="ping") == [other]
    assert listed(state="FAILURE") == []
    assert listed(queue="nowhere") == []
    assert listed(since="2100-01-01T00:00:00Z") == []
    assert len(listed(until="2100-01-01T00:00:00Z")) == 6


@pytest.mark.proves("H-11", "S001-15")
def test_an_id_that_nobody_knows_is_a_404_and_one_just_sent_is_not(idle):
    answer = idle.http.get(f"{PREFIX}/0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")

    task_id = idle.http.post(f"{PREFIX}/add", json={"x": 1}).json()["task_id"]
    said = idle.http.get(f"{PREFIX}/{task_id}").json()
    assert said["status"] == "PENDING"
    assert said["message"] == "Task is waiting to be processed"
    assert (said["name"], said["state"]) == ("add", "queued")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_way_of_asking_for_an_unknown_id_makes_one(idle, method):
    assert idle.http.request(method, f"{PREFIX}/unknown").status_code == 404
    assert idle.http.post(f"{PREFIX}/unknown/retry").status_code == 404
    assert idle.http.get(f"{PREFIX}/unknown/events").status_code == 404


@pytest.mark.proves("S001-15", "S001-19", "S002-23")
def test_a_result_that_has_expired_is_told_from_the_history(working: Office):
    task_id = working.http.post(f"{PREFIX}/add", json={"x": 20, "y": 22}).json()["task_id"]
    until(lambda: working.http.get(f"{PREFIX}/{task_id}").json().get("ended_at"))
    until(lambda: (record := working.history.get(task_id)) is not None and record.state.ended)
    working.app.AsyncResult(task_id).forget()

    said = working.http.get(f"{PREFIX}/{task_id}").json()
    assert (said["status"], said["result"], said["state"]) == ("SUCCESS", 42, "succeeded")
    assert said["attempts"][0]["worker"]


@pytest.mark.proves("S004-9")
def test_the_seven_states_are_in_the_schema(idle):
    schemas = idle.http.get("/openapi.json").json()["components"]["schemas"]
    states = {"PENDING", "STARTED", "PROGRESS", "SUCCESS", "FAILURE", "RETRY", "REVOKED"}
    assert set(schemas["TaskState"]["enum"]) == states


@pytest.mark.proves("S004-9")
def test_a_task_that_waits_for_its_next_attempt_says_so(working):
    task_id = working.http.post(f"{PREFIX}/flaky.linear").json()["task_id"]
    until(lambda: working.http.get(f"{PREFIX}/{task_id}").json()["status"] == "RETRY")
    working.http.delete(f"{PREFIX}/{task_id}")
