"""The OpenAPI document, and whatever can be made of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.kit.office import Office

pytestmark = pytest.mark.xdist_group("http")
TASKS = "/api/v1/tasks"
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]
FEW = settings(
    max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_every_operation_has_a_name_a_summary_and_its_problems(quiet):
    document = quiet.http.get("/openapi.json").json()
    names: set[str] = set()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert operation["operationId"] not in names
            names.add(operation["operationId"])
            for status, response in operation["responses"].items():
                if int(status) >= 400 and not path.startswith("/celery"):
                    assert set(response["content"]) == {"application/problem+json"}, (path, status)


def test_every_reference_leads_somewhere(quiet):
    document = quiet.http.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return own.union(*(references(each) for each in node.values()))
        return set().union(*(references(each) for each in node)) if isinstance(node, list) else set()

    assert references(document) <= known
    assert "$defs" not in json.dumps(document)


@pytest.mark.proves("S001-16")
def test_a_task_of_the_registry_has_its_arguments_in_the_document(quiet):
    operation = quiet.http.get("/openapi.json").json()["paths"][f"{TASKS}/add"]["post"]
    media = operation["requestBody"]["content"]["application/json"]
    assert media["schema"]["properties"]["x"]["type"] == "integer"
    assert media["schema"]["required"] == ["x"]
    assert operation["x-celeriac-task"] == {"name": "add", "result": {"type": "integer"}}
    assert operation["summary"] == "Add two numbers."


def test_the_examples_of_the_document_fit(quiet):
    document = quiet.http.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        media = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in media and path.startswith(TASKS):
            answer = quiet.http.post(path, json=media["example"])
            assert answer.status_code == 202, (path, media["example"], answer.text)


@pytest.mark.timeout(180)
def test_no_request_that_the_document_allows_or_forbids_gets_a_5xx(quiet: Office):
    document = quiet.http.get("/openapi.json").json()
    # The stream of a task that is never run has no end. Of the tasks, which all go the same way, some stand for all.
    few = {f"{TASKS}/{name}" for name in ("add", "ship", "login", "several", "anything", "ping")}
    document["paths"] = {
        path: operations
        for path, operations in document["paths"].items()
        if path in few or not path.startswith(f"{TASKS}/") or "{task_id}" in path
    }
    del document["paths"][f"{TASKS}/{{task_id}}/events"]
    schema: Any = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=str(quiet.http.base_url))
    tried: list[int] = []
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(max_examples=8, deadline=None, database=None, suppress_health_check=SLOW)
        @given(case=operation.as_strategy())
        def probe(case: Any) -> None:
            response = case.call()
            tried.append(response.status_code)
            assert response.status_code < 500, (response.request.method, response.request.url, response.text)

        probe()
    assert len(tried) > 50


@FEW
@given(cursor=st.text(min_size=1, max_size=200))
def test_no_cursor_breaks_the_list(quiet, cursor):
    answer = quiet.http.get(TASKS, params={"cursor": cursor.encode("utf-8", "replace").decode()})
    assert answer.status_code in {200, 422}


@FEW
@given(
    params=st.dictionaries(
        st.sampled_from(["state", "name", "queue", "tag", "parent_id", "group_id", "since", "until", "limit"]),
        st.one_of(
            st.text(max_size=50).map(lambda text: text.encode("utf-8", "replace").decode()),
            st.integers().map(str),
            st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
            st.sampled_from(["SUCCESS", "queued", "add", "default"]),
        ),
    )
)
def test_no_filter_breaks_the_list(quiet, params):
    answer = quiet.http.get(TASKS, params=params)
    assert answer.status_code in {200, 422}


@FEW
@given(
    body=st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_no_body_breaks_a_task(quiet, body):
    answer: httpx.Response = quiet.http.post(
        f"{TASKS}/anything", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {202, 400, 422}
