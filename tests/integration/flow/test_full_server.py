"""A Redis without memory: what is queued runs, else it would stay full."""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError
from tests.faults.harness.private_redis import PrivateRedis

from celeriac import RateLimit
from celeriac.flow.rate import ClusterRate
from celeriac.flow.slots import Slots, tend
from celeriac.flow.tenure import Tenure
from celeriac.flow.waking import wake
from celeriac.transport.connector import connector
from celeriac.transport.server import RedisServer


@pytest.fixture
def full(server: PrivateRedis) -> Generator[RedisServer]:
    server.client.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        server.client.set("anything", "x")
    its = RedisServer(connector(server.url))
    yield its
    its.close()


@pytest.fixture
def shelf(full: RedisServer) -> Any:
    return SimpleNamespace(server=full, broker=full)


def test_slots_are_given_and_waited_for_and_go_on(full):
    slots = Slots(full, 1, wakes=True)
    assert slots.acquire("room", "a", "token-a", ("dead", 30.0), (None, "a:1")).held
    waits = slots.acquire("room", "b", "token-b", ("alive", 30.0), (None, "b:1"))
    assert not waits.held
    full.call("ZREM", full.key("owners"), "dead")
    assert tend(full, now=True) == ["b:1"]
    assert slots.acquire("room", "b", "token-b", ("alive", 30.0), (waits.waiter, "b:2")).held
    assert slots.release("room", "b", "token-b") == []


def test_leases_are_renewed(full, shelf, server):
    tenure = Tenure(shelf)
    tenure.kept = True
    owner, lease = tenure.hold()
    Slots(full, 1, wakes=True).acquire("room", "a", "token", (owner, lease), (None, "a:1"))
    before = server.client.zscore("celeriac.owners", owner)
    tenure.tick()
    assert server.client.zscore("celeriac.owners", owner) > before


def test_who_is_woken_is_noted(shelf, server):
    wake(shelf, ["a:1"])
    assert server.client.keys("*a:1")


def test_a_rate_holds(shelf):
    key: Any = SimpleNamespace(of=lambda *_: "")
    gate = ClusterRate(shelf, "task", RateLimit("1/h"), key)
    task = SimpleNamespace(name="task", request=SimpleNamespace(retries=0))

    class PutBackError(Exception):
        pass

    def put_back(*_: object) -> None:
        raise PutBackError

    attempt: Any = SimpleNamespace(args=[], kwargs={}, task=task, headers={}, put_back=put_back)
    gate.before_run(attempt)
    with pytest.raises(PutBackError):
        gate.before_run(attempt)
