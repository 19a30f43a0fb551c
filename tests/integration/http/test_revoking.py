"""Tasks revoked and run again over HTTP."""

from __future__ import annotations

import pytest
from tests.faults.harness.waiting import until
from tests.kit.office import Office

pytestmark = pytest.mark.xdist_group("http")
PREFIX = "/api/v1/tasks"


def posted(office: Office, name: str, **body: object) -> str:
    sent = office.http.post(f"{PREFIX}/{name}", json=body)
    assert sent.status_code == 202, sent.text
    return str(sent.json()["task_id"])


def state(office: Office, task_id: str) -> str:
    return str(office.http.get(f"{PREFIX}/{task_id}").json()["status"])


@pytest.mark.proves("S001-17", "S004-9")
def test_a_queued_task_that_is_deleted_never_runs_on_a_worker_that_starts_later(idle, tmp_path):
    path = tmp_path / "ran"
    task_id = posted(idle, "record", path=str(path), line="revoked")
    answer = idle.http.delete(f"{PREFIX}/{task_id}")
    assert (answer.status_code, answer.json()["status"]) == (202, "REVOKED")
    assert state(idle, task_id) == "REVOKED"

    last = posted(idle, "record", path=str(path), line="last")
    with idle.worker(concurrency=1):
        until(lambda: state(idle, last) == "SUCCESS")
        until(lambda: idle.http.get(f"{PREFIX}/{task_id}").json()["state"] == "revoked")
    assert path.read_text() == "last\n"


@pytest.mark.proves("S001-17", "S004-17")
def test_a_running_task_is_stopped_when_that_is_asked_for(working):
    task_id = posted(working, "sleep", seconds=60)
    until(lambda: state(working, task_id) == "STARTED")
    assert working.http.delete(f"{PREFIX}/{task_id}").json()["status"] == "STARTED"
    assert state(working, task_id) == "STARTED"
    assert working.http.delete(f"{PREFIX}/{task_id}", params={"terminate": True}).status_code == 202
    until(lambda: state(working, task_id) == "REVOKED")


def test_what_has_ended_cannot_be_revoked(working):
    task_id = posted(working, "ping")
    until(lambda: state(working, task_id) == "SUCCESS")
    answer = working.http.delete(f"{PREFIX}/{task_id}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:celeriac:task-has-ended")


def test_a_task_that_ended_is_run_again_as_a_new_one(working, tmp_path):
    path = tmp_path / "ran"
    first = posted(working, "record", path=str(path), line="once")
    until(lambda: state(working, first) == "SUCCESS")
    until(lambda: working.http.get(f"{PREFIX}/{first}").json()["retryable"])  # results are quicker than the history

    answer = working.http.post(f"{PREFIX}/{first}/retry")

    assert answer.status_code == 202, answer.text
    again = answer.json()["task_id"]
    assert again != first
    until(lambda: state(working, again) == "SUCCESS")
    assert path.read_text() == "once\nonce\n"


def test_a_task_that_took_secrets_is_not_run_again_without_them(working):
    task_id = posted(working, "login", user="ada", password="hunter22")
    until(lambda: state(working, task_id) == "SUCCESS")
    answer = working.http.post(f"{PREFIX}/{task_id}/retry")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:celeriac:arguments-not-kept")
    assert "hunter22" not in working.http.get(f"{PREFIX}/{task_id}").text


def test_a_dead_letter_goes_back_to_its_queue_as_it_is(idle):
    task_id = posted(idle, "add", x=40, y=2)
    with idle.worker("tests.kit.functions", concurrency=1):  # which knows no such task
        until(lambda: idle.http.get(f"{PREFIX}/{task_id}").json()["state"] == "dead", timeout=60)
    said = idle.http.get(f"{PREFIX}/{task_id}").json()
    assert (said["status"], said["retryable"]) == ("FAILURE", True)

    again = idle.http.post(f"{PREFIX}/{task_id}/retry")

    assert (again.status_code, again.json()["task_id"]) == (202, task_id)
    with idle.worker(concurrency=1):
        until(lambda: state(idle, task_id) == "SUCCESS", timeout=60)
    assert idle.http.get(f"{PREFIX}/{task_id}").json()["result"] == 42


def test_many_are_counted_first_and_then_cancelled_together(idle, tmp_path):
    path = tmp_path / "ran"
    for _ in range(5):
        posted(idle, "record", path=str(path), line="many")
    kept = posted(idle, "add", x=1)
    with idle.worker(queues=["nobody-sends-here"]):
        until(lambda: len(idle.http.get(PREFIX).json()["tasks"]) == 6)
    body = {"action": "cancel", "filter": {"name": "record"}}

    assert idle.http.post("/api/v1/actions", json=body).json() == {
        "action": "cancel",
        "dry_run": True,
        "matched": 5,
        "done": 0,
        "failed": [],
    }
    done = idle.http.post("/api/v1/actions", json={**body, "dry_run": False}).json()
    assert (done["matched"], done["done"]) == (5, 5)

    with idle.worker(concurrency=1):
        until(lambda: state(idle, kept) == "SUCCESS")
        until(lambda: len(idle.http.get(PREFIX, params={"state": "revoked"}).json()["tasks"]) == 5)
    assert not path.exists()

    again = {"action": "retry", "filter": {"name": "record", "state": ["REVOKED"]}, "dry_run": False, "limit": 2}
    report = idle.http.post("/api/v1/actions", json=again).json()
    assert (report["matched"], report["done"], report["failed"]) == (5, 2, [])
    with idle.worker(concurrency=1):
        until(lambda: path.exists() and path.read_text() == "many\nmany\n")


def test_an_action_on_states_that_make_no_sense_for_it_is_refused(idle):
    body = {"action": "cancel", "filter": {"state": ["SUCCESS"]}}
    answer = idle.http.post("/api/v1/actions", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "filter.state")
