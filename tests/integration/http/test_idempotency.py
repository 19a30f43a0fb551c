"""The same request twice, and one task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeout
from tests.kit.office import Office

from celeriac.exceptions import BrokerUnavailable, HistoryUnavailable, UnroutableMessage
from celeriac.http import idempotency, sending
from celeriac.http.idempotency import IN_FLIGHT, Idempotency
from celeriac.http.offload import Offload
from celeriac.http.problems import ProblemError
from celeriac.transport.server import shelf_of

pytestmark = pytest.mark.xdist_group("http")
ADD = "/api/v1/tasks/add"


def waiting(office: Office) -> int:
    return sum(each.depth for each in office.services.broker.backlogs().values())


def test_the_same_key_and_body_give_the_same_answer_and_one_task(idle):
    first = idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "one"})
    again = idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "one"})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert waiting(idle) == 1
    assert idle.http.get(first.json()["check_url"]).status_code == 200


def test_the_same_key_with_another_body_is_refused(idle):
    assert idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "one"}).status_code == 202
    answer = idle.http.post(ADD, json={"x": 2}, headers={"Idempotency-Key": "one"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:celeriac:idempotency-key-reused")
    other_route = idle.http.post("/api/v1/tasks/ping", headers={"Idempotency-Key": "one"})
    assert other_route.status_code == 422
    assert waiting(idle) == 1


def test_a_body_that_is_refused_uses_up_no_key(idle):
    assert idle.http.post(ADD, json={"x": "one"}, headers={"Idempotency-Key": "one"}).status_code == 422
    assert idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "one"}).status_code == 202


def test_many_at_the_same_time_are_one_task(idle):
    codes: list[int] = []

    def post() -> None:
        codes.append(idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "race"}).status_code)

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) <= {202, 409}
    assert 202 in codes
    assert waiting(idle) == 1


@pytest.mark.anyio
async def test_a_request_whose_process_died_goes_on_with_the_same_id(idle):
    shelf = shelf_of(idle.app)
    assert shelf is not None
    now = [1000.0]
    both = [Idempotency(shelf, Offload("Redis"), lambda: now[0]) for _ in range(2)]
    dead = both[0].turn("ada", "one", b"print")
    first = await dead.__aenter__()
    with pytest.raises(ProblemError) as busy:
        await both[1].turn("ada", "one", b"print").__aenter__()
    assert busy.value.status == 409

    now[0] += IN_FLIGHT + 1
    async with both[1].turn("ada", "one", b"print") as taken_over:
        assert (taken_over.task_id, taken_over.again) == (first.task_id, True)
        first.answer = b"late"
        await dead.__aexit__(None, None, None)  # it lived after all, and it is its turn no more
        taken_over.answer = b"answer"
    async with both[0].turn("ada", "one", b"print") as third:
        assert third.replay == b"answer"
    shelf.close()


@pytest.mark.anyio
async def test_a_request_that_takes_long_is_not_taken_for_dead(idle, monkeypatch):
    monkeypatch.setattr(idempotency, "IN_FLIGHT", 0.6)
    shelf = shelf_of(idle.app)
    assert shelf is not None
    remembered = Idempotency(shelf, Offload("Redis"))
    async with remembered.turn("ada", "one", b"print"):
        for _ in range(4):
            await asyncio.sleep(0.4)
            with pytest.raises(ProblemError, match="being carried out"):
                await remembered.turn("ada", "one", b"print").__aenter__()
    shelf.close()


def away(*, uncertain: bool) -> BrokerUnavailable:
    return BrokerUnavailable(task="add", broker="redis", seconds=2.0, reason="away", uncertain=uncertain)


@pytest.mark.parametrize(
    ("errors", "same"),
    [
        ([away(uncertain=True)], True),
        ([RedisTimeout("late")], True),
        ([away(uncertain=False)], False),
        ([UnroutableMessage(task="add", exchange="", routing_key="x", reason="none")], False),
        ([away(uncertain=True), away(uncertain=False)], True),
    ],
)
def test_a_key_is_forgotten_only_when_nothing_can_have_been_sent(idle, monkeypatch, errors, same):
    ids = fails_with(monkeypatch, list(errors))
    codes = [
        idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "one"}).status_code
        for _ in range(len(errors) + 1)
    ]
    assert codes[-1] == 202
    assert min(codes[:-1]) >= 500
    assert (len(set(ids)) == 1) is same


@pytest.mark.parametrize(
    "error", [HistoryUnavailable(database="sqlite", reason="away"), ProblemError(503, "server-unavailable", "too long")]
)
def test_a_key_is_kept_when_the_outbox_fails_after_a_broker_that_may_have_taken_it(idle, monkeypatch, tmp_path, error):
    def write(*_: Any) -> None:
        raise error

    ids = fails_with(monkeypatch, [away(uncertain=True)])
    monkeypatch.setattr(idle.services.outbox, "write", write)
    monkeypatch.setattr(type(idle.services.outbox), "there", True)
    body = {"path": str(tmp_path / "lines"), "line": "1"}
    codes = [
        idle.http.post("/api/v1/tasks/record.surely", json=body, headers={"Idempotency-Key": "one"}).status_code
        for _ in range(2)
    ]
    assert codes == [503, 202]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def fails_with(monkeypatch: pytest.MonkeyPatch, errors: list[Exception]) -> list[str]:
    """Have the next tasks sent in vain; gives the ids under which they are."""
    ids: list[str] = []
    send: Callable[..., Any] = sending.send

    async def failing(call: Any, handle: Any) -> str:
        ids.append(call.options["task_id"])
        if errors:
            raise errors.pop(0)
        sent: str = await send(call, handle)
        return sent

    monkeypatch.setattr(sending, "send", failing)
    return ids


def test_what_is_remembered_is_forgotten_after_a_day(idle):
    idle.http.post(ADD, json={"x": 1}, headers={"Idempotency-Key": "one"})
    with Redis.from_url(idle.url) as redis:
        (key,) = redis.keys("*idempotency:*")
        assert 0 < redis.ttl(key) <= idempotency.KEPT


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
