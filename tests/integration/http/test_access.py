"""Who may do what over HTTP: keys, tokens, permissions, rates and the record, on a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.api import serving
from tests.kit.clients import client
from tests.kit.issuer import AUDIENCE, Issuer
from tests.kit.service import Container

import celeriac
from celeriac import CeleryAppConfig, CeleryPublisher, TaskController, create_celery_app, task
from celeriac.http import Services, create_api
from celeriac.security.api_keys import ApiKeys
from celeriac.security.audit import AuditLog, AuditRecord
from celeriac.security.gate import Gate
from celeriac.security.server import Server, server_of
from celeriac.security.tokens import TokenRules, Tokens
from celeriac.testing.servers import redis_server
from celeriac.transport.link import connector

pytestmark = pytest.mark.xdist_group("http-access")
RUN, GUARDED, UNKNOWN = "/api/v1/tasks/everyday", "/api/v1/tasks/guarded", "/api/v1/tasks/no-such-id"


class AccessController(TaskController):
    @task("everyday")
    def everyday(self) -> None: ...

    @task("guarded", permission="reports:run")
    def guarded(self) -> None: ...


class Registry(celeriac.TasksRegistry):
    everyday = AccessController.everyday
    guarded = AccessController.guarded


@dataclass
class Door:
    """A service behind a gate, and those who come."""

    redis_url: str
    url: str
    issuer: Issuer

    def key(self, *scopes: str, rate: str | None = None) -> dict[str, str]:
        """The header of somebody with a new key."""
        return {
            "Authorization": f"Bearer {self.ask(lambda server: ApiKeys(server).create('ann', scopes, rate=rate))[1]}"
        }

    def token(self, **said: Any) -> dict[str, str]:
        """The header of somebody with a token."""
        return {"Authorization": f"Bearer {self.issuer.token(**said)}"}

    def post(self, path: str, headers: dict[str, str]) -> httpx.Response:
        return httpx.post(self.url + path, headers=headers, json={}, timeout=30)

    def get(self, path: str, headers: Any = None) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, timeout=30)

    def records(self) -> list[AuditRecord]:
        """What was recorded, oldest first."""
        page = self.ask(lambda server: AuditLog(server).page())
        return list(reversed(page.records))

    def ask(self, story: Any) -> Any:
        async def told() -> Any:
            server = Server(connector(self.redis_url))
            try:
                return await story(server)
            finally:
                await server.close()

        return asyncio.run(told())


@contextmanager
def door(redis_url: str, rate: str | None = None) -> Generator[Door]:
    with ExitStack() as stack:
        issuer = stack.enter_context(Issuer())
        app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": redis_url}))
        stack.enter_context(client(app))
        Registry.install(app, Container())
        tokens = Tokens(TokenRules(issuer=issuer.url, audience=AUDIENCE, jwks_url=issuer.jwks_url))
        gate = Gate(server_of(app), tokens=tokens, rate=rate)
        api = create_api(Services(app, Registry(CeleryPublisher(app))), gate)
        yield Door(redis_url, stack.enter_context(serving(api)), issuer)


@pytest.fixture(scope="module")
def redis() -> Generator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture(scope="module")
def standing(redis: str) -> Generator[Door]:
    with door(redis) as opened:
        yield opened


@pytest.fixture
def service(standing: Door) -> Door:
    """For one test, with nothing recorded yet: what the one before did is written some hundredths of a second later."""
    time.sleep(0.2)
    with Redis.from_url(standing.redis_url) as emptied:
        emptied.flushdb()
    return standing


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    said = response.json()
    assert said["status"] == response.status_code
    return response.status_code, said["type"]


NOBODY: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer nonsense"},
    {"Authorization": "Bearer cel_000000000000_" + 43 * "A"},
    {"Authorization": "Basic YW5uOnNlY3JldA=="},
    {"Authorization": "Bearer a.b.c"},
    {"Authorization": "Bearer " + 10_000 * "x"},
    {"X-API-Key": "nonsense"},
]


@pytest.mark.proves("S004-23")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/tasks"),
        ("GET", UNKNOWN),
        ("POST", "/api/v1/tasks"),
        ("POST", RUN),
        ("POST", "/api/v1/tasks/strange"),
        ("DELETE", UNKNOWN),
        ("POST", f"{UNKNOWN}/retry"),
        ("POST", "/api/v1/actions"),
        ("GET", f"{UNKNOWN}/events"),
        ("GET", "/api/v1/workers"),
        ("GET", "/api/v1/queues"),
        ("GET", "/api/v1/inspect/active"),
    ],
)
def test_who_shows_nothing_good_gets_a_401_with_a_challenge_everywhere(service, method, path):
    body = {"name": "everyday", "action": "cancel", "filter": {}} if method == "POST" else None
    for headers in NOBODY:
        answer = httpx.request(method, service.url + path, headers=headers, timeout=30, json=body)
        assert problem(answer) == (401, "urn:celeriac:not-authenticated")
        assert answer.headers["www-authenticate"].startswith('Bearer realm="celeriac"')


def test_without_credentials_the_challenge_names_no_error(service):
    assert service.get(UNKNOWN).headers["www-authenticate"] == 'Bearer realm="celeriac"'


@pytest.mark.proves("S004-23")
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"exp": 1}, "expired"),
        ({"aud": "somebody-else"}, "meant for somebody else"),
        ({"iss": "https://else.where"}, "of another issuer"),
        ({"sub": None}, "lacks sub"),
    ],
)
def test_a_bad_token_gets_a_401_that_says_why(service, said, why):
    answer = service.get(UNKNOWN, service.token(**said))
    assert problem(answer)[0] == 401
    assert why in answer.json()["detail"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.proves("S004-23")
@pytest.mark.parametrize("kind", ["key", "token"])
def test_each_permission_opens_its_own_doors_and_no_other(service, kind):
    def comes_with(*scopes: str) -> dict[str, str]:
        made: dict[str, str] = service.key(*scopes) if kind == "key" else service.token(scope=" ".join(scopes))
        return made

    doors: dict[str, Callable[[dict[str, str]], httpx.Response]] = {
        "tasks:run": lambda headers: service.post(RUN, headers),
        "reports:run": lambda headers: service.post(GUARDED, headers),
        "tasks:cancel": lambda headers: httpx.delete(service.url + UNKNOWN, headers=headers, timeout=30),
        "tasks:read": lambda headers: service.get(UNKNOWN, headers),
        "system:read": lambda headers: service.get("/api/v1/queues", headers),
    }
    for held in doors:
        headers = comes_with(held)
        refused = {wanted for wanted, knock in doors.items() if knock(headers).status_code == 403}
        assert refused == set(doors) - {held}
    everything = comes_with("*")
    assert not [wanted for wanted, knock in doors.items() if knock(everything).status_code in {401, 403}]


@pytest.mark.proves("S004-23")
def test_a_403_names_the_scope_that_is_missing(service):
    answer = service.post(GUARDED, service.key("tasks:run"))
    assert problem(answer) == (403, "urn:celeriac:permission-missing")
    assert 'error="insufficient_scope", scope="reports:run"' in answer.headers["www-authenticate"]
    assert "reports:run" in answer.json()["detail"]


@pytest.mark.proves("S004-23")
def test_a_guarded_task_is_guarded_by_name_as_well(service):
    url, body = f"{service.url}/api/v1/tasks", {"name": "guarded"}
    assert httpx.post(url, headers=service.key("tasks:run"), json=body, timeout=30).status_code == 403
    assert httpx.post(url, headers=service.key("reports:run"), json=body, timeout=30).status_code == 202


def test_who_may_not_run_a_task_learns_nothing_of_its_arguments(service):
    answer = httpx.post(service.url + GUARDED, headers=service.key("tasks:run"), json={"wrong": 1}, timeout=30)
    assert answer.status_code == 403


def test_a_key_may_come_in_a_header_of_its_own_and_only_in_one(service):
    headers = service.key("tasks:run")
    text = headers["Authorization"].removeprefix("Bearer ")
    assert service.post(RUN, {"X-API-Key": text}).status_code == 202
    both = service.post(RUN, {"X-API-Key": text, **headers})
    assert problem(both)[0] == 401
    assert 'error="invalid_request"' in both.headers["www-authenticate"]


@pytest.mark.proves("S004-23")
def test_a_caller_that_asks_too_often_gets_429_with_the_time_to_wait(service):
    headers = service.key("tasks:run", rate="3/h")
    answers = [service.post(RUN, headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert [answer.headers.get("ratelimit-remaining") for answer in answers[:3]] == ["2", "1", "0"]
    assert {answer.headers["ratelimit-limit"] for answer in answers[:3]} == {"3"}
    assert problem(answers[3])[1] == "urn:celeriac:too-many-requests"
    assert 0 < int(answers[3].headers["retry-after"]) <= 1200
    assert service.post(RUN, service.key("tasks:run", rate="3/h")).status_code == 202


def test_those_without_a_rate_of_their_own_have_the_services(redis):
    with door(redis, rate="2/h") as limited:
        headers = limited.token(scope="tasks:run")
        assert [limited.post(RUN, headers).status_code for _ in range(3)] == [202, 202, 429]


@pytest.mark.proves("S004-23")
def test_what_is_done_and_what_is_refused_is_recorded_with_who_what_and_which(service):
    headers = service.key("tasks:run", "tasks:cancel", "tasks:read")
    done = service.post(RUN, headers).json()
    service.post(GUARDED, headers)
    json = {**headers, "Content-Type": "application/json"}
    httpx.post(f"{service.url}/api/v1/tasks", headers=json, content=b"{", timeout=30)
    httpx.delete(f"{service.url}/api/v1/tasks/{done['task_id']}", headers=headers, timeout=30)
    service.get(UNKNOWN, headers)  # looking is no action
    service.get("/api/v1/queues", headers)  # what is refused is recorded whatever it was
    service.post(RUN, {})  # nobody
    records = until(lambda: found if len(found := service.records()) >= 5 else None)  # written beside the request
    assert {record.subject for record in records} == {records[0].subject}
    assert records[0].subject.startswith("key:")
    assert records[0].name == "ann"
    assert [(record.permission, record.outcome, record.status) for record in records] == [
        ("tasks:run", "done", 202),
        ("reports:run", "refused", 403),
        ("", "invalid", 400),
        ("tasks:cancel", "done", 202),
        ("system:read", "refused", 403),
    ]
    assert (records[0].task, records[0].task_id) == ("everyday", done["task_id"])
    assert records[3].task_id == done["task_id"]
    assert all(record.action and record.address == "127.0.0.1" for record in records)


def test_the_record_names_no_secret(service):
    headers = service.key("tasks:run")
    service.post(RUN, headers)
    assert headers["Authorization"].split("_")[-1] not in repr(until(service.records))


def test_strangers_cannot_push_out_of_the_record_what_callers_did(service, caplog):
    with caplog.at_level("INFO", "celeriac.audit"):
        for _ in range(5):
            service.post(RUN, {})
    service.post(RUN, service.key("tasks:run"))  # which is written after them
    records = until(service.records)
    assert "refused" not in {record.outcome for record in records}
    refusals = [record for record in caplog.records if record.name == "celeriac.audit"]
    assert len(refusals) == 5


def test_health_and_the_document_are_for_everybody(service):
    assert service.get("/healthz").status_code == 200
    document = service.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    assert document["paths"]["/api/v1/tasks/everyday"]["post"]["security"]


def test_while_the_store_of_keys_is_away_nobody_is_let_in_on_trust(server):
    with door(server.url) as away:
        headers = away.key("tasks:run", "tasks:read")
        token = away.token()
        assert away.get(UNKNOWN, token).status_code == 200
        server.stop()
        answer = away.get(UNKNOWN, headers)
        assert problem(answer) == (503, "urn:celeriac:access-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        # A token needs no Redis to be known: what it asks for does.
        assert problem(away.get(UNKNOWN, token))[1] != "urn:celeriac:access-unavailable"


def test_an_application_without_a_gate_lets_nobody_in(redis):
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": redis}))
    with client(app):
        Registry.install(app, Container())
        services = Services(app, Registry(CeleryPublisher(app)))
        api = create_api(services, Gate(server_of(app)))
        del api.state.celeriac_gate
        with serving(api) as url:
            assert httpx.post(url + RUN, json={}, timeout=30).status_code == 500
