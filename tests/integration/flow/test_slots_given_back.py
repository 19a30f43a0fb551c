"""A slot is let go exactly once: also where an error came between two steps, or the server was away at the end."""

from __future__ import annotations

import gc
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Retry
from redis import Redis
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.slots import made

from celeriac.flow.concurrency import ConcurrencyGate
from celeriac.flow.frame import Attempt, Ending
from celeriac.flow.tenure import Tenure

HELD = "celeriac.slots:slots.two"


class Desk:
    """The gate of a task with two slots, in a process that runs no worker, and attempts of that task."""

    def __init__(self, app: Any, redis: Redis) -> None:
        self.task = app.tasks["slots.two"]
        (self.gate,) = self.task.flow.gates
        assert isinstance(self.gate, ConcurrencyGate)
        self.redis = redis

    def attempt(self, task_id: str) -> Attempt:
        request = SimpleNamespace(id=task_id, headers={}, retries=0, argsrepr=None, kwargsrepr=None)
        sent: list[dict[str, Any]] = []
        again = SimpleNamespace(apply_async=lambda: None)

        def signature_from_request(_: Any, **options: Any) -> Any:
            sent.append(options)
            return again

        task: Any = SimpleNamespace(
            name=self.task.name,
            request=request,
            secret_arguments=False,
            signature_from_request=signature_from_request,
            sent=sent,
        )
        return Attempt(task, [0.0], {})

    def held(self) -> int:
        return int(self.redis.hlen(HELD))


@pytest.fixture
def desk(server: PrivateRedis) -> Generator[Desk]:
    app, _ = made(redis_url=server.url)
    with client(app), Redis.from_url(server.url) as redis:
        yield Desk(app, redis)
        tenure = Tenure.known(app)
        assert tenure is not None
        tenure.end()


def test_an_attempt_that_is_forgotten_lets_its_slot_go(desk):
    attempt = desk.attempt("a")
    desk.gate.before_run(attempt)
    assert desk.held() == 1
    del attempt
    gc.collect()
    until(lambda: desk.held() == 0)


def test_one_that_has_let_go_does_not_do_so_twice(desk):
    first, second = desk.attempt("a"), desk.attempt("a")
    desk.gate.before_run(first)
    desk.gate.after_run(first, Ending.DONE)
    desk.gate.before_run(second)  # the same task, once more
    del first
    gc.collect()
    assert desk.held() == 1


def test_a_slot_is_let_go_later_where_the_server_was_away(desk, server):
    attempt = desk.attempt("a")
    desk.gate.before_run(attempt)
    server.kill()
    desk.gate.after_run(attempt, Ending.DONE)
    server.start()
    until(lambda: desk.held() == 0, timeout=20)


def test_while_the_server_is_away_a_task_goes_back(desk, server):
    server.kill()
    attempt = desk.attempt("a")
    with pytest.raises(Retry, match="and Redis does not tell whether it may run"):
        desk.gate.before_run(attempt)
    (options,) = attempt.task.sent
    assert options["countdown"] == 5
    assert options["retries"] == 0


def test_who_finds_no_slot_is_sent_again_with_its_place_in_line(desk):
    kept = [desk.attempt(task_id) for task_id in "ab"]
    for attempt in kept:
        desk.gate.before_run(attempt)
    third = desk.attempt("c")
    with pytest.raises(Retry, match="2 at once, and 0 wait before it") as put_back:
        desk.gate.before_run(third)
    assert str(put_back.value.exc) == "slots.two waits: 2 at once, and 0 wait before it"
    (options,) = third.task.sent
    assert options["countdown"] == 60
    assert options["headers"]["celeriac-waits"].partition("|")[2].startswith("c:")


def test_a_process_without_a_worker_renews_its_own_lease(desk):
    attempt = desk.attempt("a")
    desk.gate.before_run(attempt)
    ((_, first),) = desk.redis.zrange("celeriac.owners", 0, -1, withscores=True)
    until(lambda: desk.redis.zrange("celeriac.owners", 0, -1, withscores=True)[0][1] > first, timeout=20)
    desk.gate.after_run(attempt, Ending.DONE)
