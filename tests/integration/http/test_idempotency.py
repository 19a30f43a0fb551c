"""The same request twice, and one task."""

from __future__ import annotations

import threading

import pytest
from tests.kit.office import Office

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
    ask = Offload("Redis")
    dead = await Idempotency(shelf, ask, lambda: now[0])._begin(shelf, "here", "print")
    with pytest.raises(ProblemError) as busy:
        await Idempotency(shelf, ask, lambda: now[0])._begin(shelf, "here", "print")
    assert busy.value.status == 409

    now[0] += IN_FLIGHT + 1
    taken_over = await Idempotency(shelf, ask, lambda: now[0])._begin(shelf, "here", "print")
    assert taken_over.task_id == dead.task_id
    shelf.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
