"""What bad input gets: a documented problem each."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Generator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from tests.kit.api import serving
from tests.kit.office import Office

from celeriac.http.json import DEEPEST, depth_of
from celeriac.http.limits import LARGEST_BODY, BodyLimits
from celeriac.http.problems import install_problems

pytestmark = pytest.mark.xdist_group("http")
TASKS = "/api/v1/tasks"
JSON = {"content-type": "application/json"}


def told(answer: httpx.Response, status: int, kind: str) -> dict[str, object]:
    """The problem, which has to be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, object] = answer.json()
    assert said["type"] == f"urn:celeriac:{kind}"
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    return said


@pytest.mark.proves("S001-16")
def test_an_unknown_task_is_a_404_that_names_the_nearest(quiet):
    assert "'ping'" in str(told(quiet.http.post(f"{TASKS}/pin", json={}), 404, "unknown-task")["detail"])
    assert "'ping'" in str(told(quiet.http.post(TASKS, json={"name": "pin"}), 404, "unknown-task")["detail"])


@pytest.mark.parametrize("name", ["celery.backend_cleanup", "celery.chord", "os.system", "__class__"])
def test_nothing_outside_of_the_registry_runs(quiet, name):
    told(quiet.http.post(TASKS, json={"name": name}), 404, "unknown-task")
    told(quiet.http.post(f"{TASKS}/{name}", json={}), 404, "unknown-task")


def test_a_task_that_stays_out_of_http_is_as_if_it_were_not_there(quiet):
    told(quiet.http.post(TASKS, json={"name": "hidden"}), 404, "unknown-task")
    told(quiet.http.post(f"{TASKS}/hidden", json={}), 404, "unknown-task")
    assert f"{TASKS}/hidden" not in quiet.http.get("/openapi.json").json()["paths"]


@pytest.mark.proves("S004-23")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "x"),
        ({"x": "two"}, "x"),
        ({"x": 1, "z": 1}, "z"),
        ({"x": 1.5}, "x"),
        ([1], ""),
        ("x", ""),
        (None, ""),
    ],
)
def test_a_wrong_body_names_the_field(quiet, body, field):
    said = told(quiet.http.post(f"{TASKS}/add", content=json.dumps(body), headers=JSON), 422, "invalid-request")
    assert said["errors"][0]["field"] == field  # type: ignore[index]


def test_a_field_deep_inside_is_named_by_its_path(quiet):
    body = {"parcel": {"weight": 1, "to": {"street": "x", "since": "soon"}}, "colour": "red", "tag": "no"}
    said = told(quiet.http.post(f"{TASKS}/ship", json=body), 422, "invalid-request")
    assert {each["field"] for each in said["errors"]} == {"parcel.to.since", "tag"}  # type: ignore[attr-defined]


def test_a_secret_is_never_repeated(quiet):
    answer = quiet.http.post(f"{TASKS}/login", json={"user": 1, "password": ["hunter22"]})
    told(answer, 422, "invalid-request")
    assert "hunter22" not in answer.text


def test_arguments_that_do_not_fit_a_task_run_by_name_are_told(quiet):
    said = told(quiet.http.post(TASKS, json={"name": "add", "args": ["two"]}), 422, "invalid-arguments")
    assert "valid integer" in str(said["detail"])
    told(quiet.http.post(TASKS, json={"name": "add", "args": [1, 2, 3]}), 422, "invalid-arguments")


def test_what_is_no_json_is_a_400(quiet):
    for content in (b"{", b"\xff", b"{'x': 1}", b"nul"):
        told(quiet.http.post(f"{TASKS}/add", content=content, headers=JSON), 400, "invalid-json")


def test_json_that_is_nested_too_deeply_is_a_400(quiet):
    for depth in (DEEPEST + 1, 1000, 100_000):
        deep = b'{"value": ' + b"[" * depth + b"]" * depth + b"}"
        told(quiet.http.post(f"{TASKS}/anything", content=deep, headers=JSON), 400, "too-deep")
    fits = b'{"value": ' + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1) + b"}"
    assert quiet.http.post(f"{TASKS}/anything", content=fits, headers=JSON).status_code == 202


def test_brackets_in_texts_are_no_depth():
    assert depth_of(json.dumps({"x": '["\\' * 100}).encode()) == 1
    assert depth_of(json.dumps([{"x": [1]}] * 100).encode()) == 3


def test_a_huge_body_is_a_413_whether_it_says_so_or_not(quiet):
    told(quiet.http.post(f"{TASKS}/add", content=b" " * (LARGEST_BODY + 1), headers=JSON), 413, "body-too-large")

    def chunks() -> Generator[bytes]:
        for _ in range(LARGEST_BODY // 65536 + 2):
            yield b" " * 65536

    answer = quiet.http.post(f"{TASKS}/add", content=chunks(), headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "application/jsonp", ""])
def test_a_body_of_another_media_type_is_a_415(quiet, kind):
    answer = quiet.http.post(f"{TASKS}/add", content=b'{"x": 1}', headers={"content-type": kind} if kind else {})
    told(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("cursor", ["x", "!!!", "a" * 1000, "eyJ9", "-1", "AAAA"])
def test_a_bad_cursor_is_a_422(quiet, cursor):
    told(quiet.http.get(TASKS, params={"cursor": cursor}), 422, "invalid-cursor")


@pytest.mark.parametrize(
    "query",
    [
        {"state": "DONE"},
        {"limit": 0},
        {"limit": 100_000},
        {"since": "yesterday"},
        {"since": "2030-01-01T00:00:00"},
        {"name": ""},
        {"name": "\x00"},
        {"queue": "x" * 300},
        {"cursor": "x" * 1001},
    ],
)
def test_a_bad_filter_is_a_422_that_names_it(quiet, query):
    said = told(quiet.http.get(TASKS, params=query), 422, "invalid-request")
    (name,) = query
    assert f"query.{name}" in said["errors"][0]["field"]  # type: ignore[index]


@pytest.mark.parametrize("key", ["celery-task-meta-x y", "a b", "%00", "%0d%0aSET", "x" * 200, "é%ff"])
def test_a_path_that_is_no_id_is_refused(quiet, key):
    told(quiet.http.get(f"{TASKS}/{key}"), 422, "invalid-request")


@pytest.mark.parametrize(
    "query",
    [{"countdown": -1}, {"countdown": "inf"}, {"countdown": 1, "eta": "2030-01-01T00:00:00Z"}, {"priority": "asap"}],
)
def test_a_bad_option_is_a_422(quiet, query):
    told(quiet.http.post(f"{TASKS}/ping", params=query), 422, "invalid-request")


def test_an_eta_far_away_is_a_422(quiet):
    told(quiet.http.post(f"{TASKS}/ping", params={"eta": "9999-12-31T23:59:59Z"}), 422, "invalid-request")


def test_an_unknown_queue_is_a_422_that_names_the_nearest(quiet):
    said = told(quiet.http.post(f"{TASKS}/ping", params={"queue": "parcel"}), 422, "unknown-queue")
    assert "'parcels'" in str(said["detail"])


def test_what_cannot_be_told_in_json_is_told_all_the_same(quiet):
    content = b'{"value": ["\\ud800", 123456789012345678901234567890]}'
    answer = quiet.http.post(f"{TASKS}/anything", content=content, headers=JSON)
    assert answer.status_code in {202, 400, 422}, answer.text
    if answer.status_code == 202:
        assert quiet.http.get(answer.json()["check_url"]).status_code == 200


def test_another_path_or_method_is_a_problem_too(quiet: Office):
    told(quiet.http.get("/api/v2"), 404, "not-found")
    told(quiet.http.put(TASKS), 405, "method-not-allowed")


def test_every_answer_tells_browsers_what_not_to_do_and_other_origins_are_not_let_in(quiet):
    answer = quiet.http.get("/healthz", headers={"Origin": "https://evil.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert quiet.http.options(TASKS, headers=asked).status_code == 405


def test_a_client_that_sends_too_slowly_is_a_408():
    app = FastAPI()
    install_problems(app)
    app.add_middleware(BodyLimits, seconds=0.5)

    @app.post("/")
    async def read(request: Request) -> int:
        return len(await request.body())

    with serving(app) as url:
        place = urlsplit(url)
        with socket.create_connection((place.hostname, place.port), timeout=20) as slow:
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            began = time.monotonic()
            answer = slow.recv(65536)
            assert b" 408 " in answer.split(b"\r\n", 1)[0]
            assert b"application/problem+json" in answer
            assert time.monotonic() - began < 15


def test_a_path_that_takes_files_has_a_size_of_its_own_and_a_patience_for_each_piece():
    app = FastAPI()
    install_problems(app)
    app.add_middleware(BodyLimits, largest=10, seconds=2, streams={"/files": 1000})

    @app.post("/files")
    @app.post("/other")
    async def read(request: Request) -> int:
        return sum([len(piece) async for piece in request.stream()])

    def slowly() -> Generator[bytes]:
        for _ in range(5):
            yield b"x" * 10
            time.sleep(0.5)

    with serving(app) as url, httpx.Client(base_url=url, timeout=20) as client:
        assert client.post("/files", content=b"x" * 1000).json() == 1000
        assert client.post("/files", content=slowly()).json() == 50
        for path, size in (("/files", 1001), ("/other", 11)):
            assert client.post(path, content=b"x" * size).status_code == 413
            assert client.post(path, content=iter([b"x" * size])).status_code == 413
