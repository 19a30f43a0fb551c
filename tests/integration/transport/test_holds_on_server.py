"""Places on the server: what a debounce window lets through, and how long it is known who lost a place."""

from __future__ import annotations

import time
from collections.abc import Generator

import pytest
from redis import Redis

from celeriac.transport.connector import connector
from celeriac.transport.holds.hold import Answer, Hold
from celeriac.transport.holds.holds import Holds
from celeriac.transport.holds.scripts import HOLD
from celeriac.transport.server import RedisServer

LIST = "holds.queue"
DAY = 86_400.0
QUIET, AT_MOST = 0.1, 0.3


class Baskets:
    """Debounced calls of one key."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.holds = Holds(server)

    def hold(self, task_id: str, delay: float = QUIET) -> Hold:
        return Hold("baskets:key", task_id, "debounce", DAY, delay, AT_MOST)

    def call(self, task_id: str) -> None:
        """As ``send_held`` does."""
        answer = self._ask(self.hold(task_id), insist=False)
        if answer.due is not None:
            answer = self._ask(self.hold(task_id, answer.due), insist=True)
        assert answer == Answer()

    def enter(self, task_id: str) -> tuple[str, str]:
        return self.holds.enter(self.hold(task_id), admitted=True)

    def _ask(self, hold: Hold, *, insist: bool) -> Answer:
        keys, arguments = self.holds.asking(hold, insist=insist, message=(LIST, b"message"))
        return self.holds.read(self.server.run(HOLD, keys, arguments))


@pytest.fixture
def baskets(redis: Redis, server: str) -> Generator[Baskets]:
    del redis
    its = RedisServer(connector(server))
    yield Baskets(its)
    its.close()


def test_under_steady_calls_one_of_each_window_runs_however_late_a_worker_comes(baskets):
    calls: list[str] = []
    end = time.monotonic() + 4 * AT_MOST
    while time.monotonic() < end:
        calls.append(f"call-{len(calls)}")
        baskets.call(calls[-1])
        time.sleep(0.02)
    answers = {call: baskets.enter(call)[0] for call in calls}
    ran = [call for call in calls if answers[call] == "run"]
    assert 3 <= len(ran) <= 6
    assert ran[-1] == calls[-1]
    assert set(answers.values()) == {"run", "gone"}


def test_a_call_after_a_closed_window_opens_another(baskets):
    baskets.call("a")
    time.sleep(AT_MOST + 0.05)
    baskets.call("b")
    baskets.call("c")
    assert [baskets.enter(call) for call in "abc"] == [("run", ""), ("gone", "c"), ("run", "")]


def test_who_was_told_that_it_lost_its_place_is_soon_forgotten(baskets, redis):
    baskets.call("a")
    baskets.call("b")
    assert redis.ttl("celeriac.gone:a") > DAY / 2
    assert baskets.enter("a") == ("gone", "b")
    assert 60 < redis.ttl("celeriac.gone:a") <= 600
    assert baskets.enter("a") == ("gone", "b"), "its message came again"
