"""The service's own routes behind the gate, and a route for each task of the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest
from redis import Redis
from tests.kit.house import House, house

from celeriac.security.api_keys import ApiKeys
from celeriac.security.server import Server
from celeriac.testing.servers import redis_server
from celeriac.transport.link import connector
from core.configs.settings import AccessSettings

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(90)]
USERS, EMAIL = "/api/v1/users", "/tasks/email"
Key = Callable[..., dict[str, str]]
TASKS_OF_S004 = {
    "refresh_market_data": "high_priority",
    "compute_index": "high_priority",
    "generate_report": "low_priority",
    "cleanup_old_data": "low_priority",
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    """The service as it is in production: who comes needs a key."""
    database = f"sqlite:///{tmp_path_factory.mktemp('guarded') / 'service.db'}"
    with redis_server() as url, house(url, database, access_settings=AccessSettings(rate_limit="1000/m")) as running:
        yield running


@pytest.fixture
def key(guarded: House) -> Key:
    """The header of somebody with a new key of these permissions."""

    def create(*permissions: str) -> dict[str, str]:
        async def made() -> Any:
            server = Server(connector(guarded.url))
            try:
                return await ApiKeys(server).create("ann", permissions)
            finally:
                await server.close()

        return {"X-API-Key": asyncio.run(made())[1]}

    return create


def test_nobody_comes_in_without_a_key(guarded):
    for answer in (
        guarded.http.post(USERS, json={"email": "ada@example.org"}),
        guarded.http.get(f"{USERS}/1"),
        guarded.http.post(f"{USERS}/1/export"),
        guarded.http.post(EMAIL, params={"to": "ada@example.org", "subject": "Hello"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:celeriac:not-authenticated")


def test_each_route_takes_its_own_permission(guarded, key):
    def asked(headers: dict[str, str]) -> list[int]:
        letter = {"to": "ada@example.org", "subject": "Hello"}
        email = f"{headers['X-API-Key'][-12:]}@example.org".lower()
        return [
            guarded.http.post(USERS, json={"email": email}, headers=headers).status_code,
            guarded.http.get(f"{USERS}/1", headers=headers).status_code,
            guarded.http.post(f"{USERS}/1/export", headers=headers).status_code,
            guarded.http.post(EMAIL, params=letter, headers=headers).status_code,
        ]

    assert asked(key("tasks:read")) == [403, 403, 403, 403]
    assert asked(key("users:create")) == [201, 403, 403, 403]
    assert asked(key("users:read")) == [403, 200, 403, 403]
    assert asked(key("tasks:run")) == [403, 403, 202, 202]


def test_each_answer_says_what_is_left_of_the_rate(guarded, key):
    answer = guarded.http.get(f"{USERS}/1", headers=key("users:read"))
    assert int(answer.headers["RateLimit-Limit"]) == 1000
    assert int(answer.headers["RateLimit-Remaining"]) < 1000


@pytest.mark.proves("S004-26")
@pytest.mark.parametrize(("name", "queue"), TASKS_OF_S004.items())
def test_each_background_task_has_a_route_that_triggers_it(still, name, queue):
    path = f"/api/v1/tasks/{name}"
    operation = still.http.get("/openapi.json").json()["paths"][path]["post"]
    media = operation["requestBody"]["content"]["application/json"]
    answer = still.http.post(path, json=media["example"])
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == name
    with Redis.from_url(still.url) as redis:
        waiting: list[Any] = [line for each in redis.keys(f"{queue}*") for line in redis.lrange(each, 0, -1)]
    assert sum(answer.json()["task_id"].encode() in line for line in waiting) == 1


@pytest.mark.proves("S004-26")
def test_the_container_has_one_redis_client_for_all(still):
    client = still.container.resolve(Redis)
    assert client is still.container.resolve(Redis)
    assert client.ping()
    with still.container.scope() as scope:
        assert scope.resolve(Redis) is client
