"""Tasks run over HTTP, and looked at."""

from __future__ import annotations

from typing import Any

import pytest
from tests.faults.harness.waiting import until
from tests.kit.office import Office

pytestmark = pytest.mark.xdist_group("http")
SHAPE = ("task_id", "status", "message", "progress", "result", "error")


def shape(said: dict[str, Any]) -> dict[str, Any]:
    """What the sources show of a task, without the rest."""
    return {name: said[name] for name in SHAPE if name in said}


def ended(office: Office, url: str) -> dict[str, Any]:
    """The task, once it has ended."""

    def look() -> dict[str, Any] | None:
        said: dict[str, Any] = office.http.get(url).json()
        return said if said["status"] in {"SUCCESS", "FAILURE"} else None

    return until(look)


@pytest.mark.proves("S001-16", "S001-8", "S002-22", "S002-23", "S000-31")
def test_a_task_run_by_name_is_looked_at_until_it_has_its_result(working):
    sent = working.http.post("/api/v1/tasks", json={"name": "add", "args": [2], "kwargs": {"y": 3}})
    assert sent.status_code == 202
    said = sent.json()
    assert sent.headers["location"] == said["check_url"] == f"/api/v1/tasks/{said['task_id']}"
    assert said["status"] == "PENDING"

    told = ended(working, said["check_url"])
    assert shape(told) == {"task_id": said["task_id"], "status": "SUCCESS", "result": 5}
    assert told["name"] == "add"


@pytest.mark.proves("S001-16")
def test_a_task_has_a_route_of_its_own_with_typed_arguments(working):
    body = {
        "parcel": {"weight": 1.5, "to": {"street": "Hauptstr. 1", "since": "2020-01-01T00:00:00Z"}},
        "colour": "red",
        "tag": "0d4e2c0e-5b8f-4d9c-9f1e-3f1f0e0a7f55",
        "wait": "PT5S",
    }
    sent = working.http.post("/api/v1/tasks/ship", json=body)
    assert sent.status_code == 202, sent.text
    assert ended(working, sent.json()["check_url"])["result"]["weight"] == 3.0


def test_positional_arguments_are_named_too(working):
    sent = working.http.post("/api/v1/tasks/several", json={"numbers": [1, 2], "names": {"a": "b"}})
    assert ended(working, sent.json()["check_url"])["result"] == {"numbers": 3, "names": {"a": "b"}}


@pytest.mark.proves("S002-23", "S000-31")
def test_a_task_that_fails_tells_its_error(working):
    sent = working.http.post("/api/v1/tasks/fail", json={"message": "no luck"})
    said = ended(working, sent.json()["check_url"])
    assert shape(said) == {"task_id": said["task_id"], "status": "FAILURE", "error": "no luck"}


@pytest.mark.proves("S002-23")
def test_progress_is_told_while_it_runs(working):
    sent = working.http.post("/api/v1/tasks/data.process", json={"data": [1, 2, 3], "pause": 0.5})
    url = sent.json()["check_url"]
    said = until(lambda: (told := shape(working.http.get(url).json()))["status"] == "PROGRESS" and told)
    assert set(said) == {"task_id", "status", "progress"}
    assert ended(working, url)["result"] == {"processed": 3}


def test_secrets_reach_the_task_and_come_back_masked(working):
    sent = working.http.post("/api/v1/tasks/login", json={"user": "ada", "password": "hunter22"})
    assert ended(working, sent.json()["check_url"])["status"] == "SUCCESS"
    sent = working.http.post("/api/v1/tasks/token", json={"name": "ada"})
    assert ended(working, sent.json()["check_url"])["result"] == "**********"


def test_how_it_runs_can_be_said_in_the_query(working):
    sent = working.http.post("/api/v1/tasks/about", params={"countdown": 0.2, "priority": "high"})
    assert ended(working, sent.json()["check_url"])["result"]["name"] == "about"
