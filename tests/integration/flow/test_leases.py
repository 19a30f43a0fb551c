"""What running tasks hold is theirs over a time without Redis, and over one in which their worker was cut off."""

from __future__ import annotations

import time
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis

from celeriac.flow.slots import Slots
from celeriac.flow.tenure import Tenure
from celeriac.transport.connector import connector
from celeriac.transport.server import RedisServer

LEASE = 1.2


@pytest.fixture
def shelf(second_url: str) -> Generator[Any]:
    with Redis.from_url(second_url) as redis:
        redis.flushdb()
    server = RedisServer(connector(second_url))
    yield SimpleNamespace(server=server, broker=server)
    server.close()


class Worker:
    """One that lives, runs a task that holds the only slot of a room, and gives a sign of life when it is told to."""

    def __init__(self, shelf: Any, room: str = "") -> None:
        self.server: RedisServer = shelf.server
        self.slots = Slots(shelf.server, 1, wakes=True)
        self.tenure = Tenure(shelf, LEASE)
        self.tenure.kept = True  # by the test
        if room:
            assert self.asks(room, "holder")
        self.tenure.tick()

    def asks(self, room: str, task: str) -> bool:
        return self.slots.acquire(room, task, f"token-{task}", self.tenure.hold(), (None, f"{task}:1")).held

    def holders(self, room: str) -> list[bytes]:
        return list(self.server.call("HKEYS", self.server.key(f"slots:{room}")))

    def ticks(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.tenure.tick()
            time.sleep(LEASE / 8)


def test_after_a_time_without_redis_all_workers_keep_their_slots(shelf):
    one, other = Worker(shelf, "one"), Worker(shelf, "other")
    third = Worker(shelf)
    assert not third.asks("one", "waits")
    assert not third.asks("other", "waits")
    time.sleep(LEASE * 1.5)  # nobody reaches it
    assert not third.asks("one", "comes first"), "asked before anybody has renewed"
    for worker in (third, one, other):
        worker.tenure.tick()
    assert not third.asks("one", "late")
    assert not third.asks("other", "late")
    assert third.holders("one") == third.holders("other") == [b"holder"]


def test_who_does_not_come_back_after_it_loses_its_slot(shelf):
    Worker(shelf, "one")
    other = Worker(shelf)
    time.sleep(LEASE * 1.5)
    other.ticks(LEASE)
    assert other.asks("one", "next")


def test_who_ended_has_no_slot_even_just_after_it(shelf):
    one, other = Worker(shelf, "one"), Worker(shelf)
    time.sleep(LEASE * 1.5)
    one.tenure.end()
    assert other.asks("one", "next")


def test_a_worker_that_was_cut_off_keeps_what_nobody_asked_for(shelf):
    one, other = Worker(shelf, "one"), Worker(shelf)
    other.ticks(LEASE * 2.5)
    one.tenure.tick()
    assert not other.asks("one", "late")
