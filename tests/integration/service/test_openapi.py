"""The service's OpenAPI document, and whatever can be made of it for its own routes."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from tests.kit.house import House, house

from celeriac.testing.servers import redis_server

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(120)]
OWN = {
    "/api/v1/users": {"post"},
    "/api/v1/users/{user_id}": {"get"},
    "/api/v1/users/{user_id}/activities": {"post"},
    "/api/v1/users/{user_id}/export": {"post"},
    "/tasks/email": {"post"},
}
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    """All of it but a worker, for all tests of this module."""
    database = f"sqlite:///{tmp_path_factory.mktemp('quiet') / 'service.db'}"
    with redis_server() as url, house(url, database) as running:
        yield running


@pytest.fixture(scope="module")
def document(quiet: House) -> dict[str, Any]:
    found: dict[str, Any] = quiet.http.get("/openapi.json").json()
    return found


def test_each_route_of_the_service_is_documented_with_its_problems(document):
    names = [each["operationId"] for operations in document["paths"].values() for each in operations.values()]
    assert len(names) == len(set(names))
    for path, methods in OWN.items():
        assert set(document["paths"][path]) == methods
        for operation in document["paths"][path].values():
            assert operation["summary"]
            assert operation["description"]
            assert operation["security"]
            problems = {status: each for status, each in operation["responses"].items() if int(status) >= 400}
            assert {"401", "403", "422", "429", "503"} <= set(problems)
            assert all(set(each["content"]) == {"application/problem+json"} for each in problems.values())
    assert document["paths"]["/api/v1/users/{user_id}"]["get"]["responses"]["404"]["description"] == "No such user."


@pytest.mark.proves("S004-26")
def test_the_example_of_every_task_is_taken(quiet, document):
    tried = 0
    for path, operations in document["paths"].items():
        media = operations.get("post", {}).get("requestBody", {}).get("content", {}).get("application/json", {})
        if "example" in media and path.startswith("/api/v1/tasks/"):
            answer = quiet.http.post(path, json=media["example"])
            assert answer.status_code == 202, (path, media["example"], answer.text)
            tried += 1
    assert tried == len(list(quiet.registry))


def test_the_example_of_a_user_is_taken(quiet, document):
    media = document["paths"]["/api/v1/users"]["post"]["requestBody"]["content"]["application/json"]
    assert quiet.http.post("/api/v1/users", json=media["example"]).status_code == 201


def test_no_request_that_the_document_allows_or_forbids_gets_a_5xx(quiet, document):
    own = {**document, "paths": {path: document["paths"][path] for path in OWN}}
    schema: Any = schemathesis.openapi.from_dict(own)
    schema.config.update(base_url=str(quiet.http.base_url))
    tried: list[int] = []
    for result in schema.get_all_operations():

        @settings(max_examples=10, deadline=None, database=None, suppress_health_check=SLOW)
        @given(case=result.ok().as_strategy())
        def probe(case: Any) -> None:
            response = case.call()
            tried.append(response.status_code)
            assert response.status_code < 500, (response.request.method, response.request.url, response.text)

        probe()
    assert len(tried) >= 20
