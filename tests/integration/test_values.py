"""What goes through a real server and a real worker, on each pool."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.kit.service import Address, Colour, Parcel

from celeriac import TaskState
from celeriac.exceptions import InvalidArguments, InvalidResult

WAIT = 20


@pytest.mark.proves("S000-1", "S000-37", "S003-1")
def test_a_task_is_sent_run_and_read(registry):
    result = registry.ping.delay()
    assert result.get(timeout=WAIT) == {"result": "pong"}
    assert result.state is TaskState.SUCCESS


@pytest.mark.proves("S000-1", "S000-31")
def test_the_value_is_read_by_id_alone(registry, shared):
    task_id = registry.add.delay(2, 3).id
    found = shared.app.AsyncResult(task_id)
    assert found.get(timeout=WAIT) == 5
    assert found.state == "SUCCESS"
    assert found.result == 5


@pytest.mark.proves("S001-9", "S000-37")
def test_arguments_are_given_as_to_the_method(registry):
    assert registry.add.delay(2, 3).get(timeout=WAIT) == 5
    assert registry.add.delay(2, y=3).get(timeout=WAIT) == 5
    assert registry.add.delay(x=2).get(timeout=WAIT) == 2
    assert registry.several.delay(1, 2, 3, a="b").get(timeout=WAIT) == {"numbers": 6, "names": {"a": "b"}}


def test_rich_values_arrive_as_what_the_signature_says(registry):
    address = Address(street="x", since=datetime(2026, 1, 1, tzinfo=UTC))
    result = registry.ship.delay(Parcel(1.5, address), colour=Colour.RED, tag=uuid4(), wait=timedelta(seconds=1))
    assert result.get(timeout=WAIT) == Parcel(3.0, address)


def test_bytes_and_secrets_arrive(registry, worker):
    assert registry.digest.delay(b"\xff\x00a").get(timeout=WAIT) == b"a\x00\xff"
    assert registry.login.delay("u", SecretStr("geheim-7")).get(timeout=WAIT) == 8
    assert "geheim-7" not in worker.log
    assert registry.token.delay("me").get(timeout=WAIT) == SecretStr("secret-of-me")
    registry.ping.delay().get(timeout=WAIT)
    assert "secret-of-me" not in worker.log


@pytest.mark.proves("S000-37")
def test_coroutines_are_awaited(registry):
    assert registry.async_add.delay(2, y=3).get(timeout=WAIT) == 5


def test_coroutines_send_and_read(registry):
    async def main():
        results = [await registry.async_add.adelay(2, number) for number in range(5)]
        return [await result.aget(timeout=WAIT) for result in results]

    assert asyncio.run(main()) == [2, 3, 4, 5, 6]


@pytest.mark.proves("S002-15")
def test_all_coroutines_of_a_process_share_one_loop(registry):
    seen = [registry.loop.delay() for _ in range(12)]
    loops: dict[int, set[int]] = {}
    for result in seen:
        found = result.get(timeout=WAIT)
        loops.setdefault(found["process"], set()).add(found["loop"])
    assert all(len(ids) == 1 for ids in loops.values())


@pytest.mark.parametrize("pool", ["threads"], indirect=True)
def test_coroutines_of_the_threads_pool_overlap(registry):
    one, other = registry.meet.delay(2), registry.meet.delay(2)
    assert one.get(timeout=WAIT)
    assert other.get(timeout=WAIT)


def test_a_task_reads_about_itself(registry):
    result = registry.about.apply_async(headers={"tenant": "acme"})
    assert result.get(timeout=WAIT) == {
        "id": result.id,
        "name": "about",
        "attempt": 1,
        "queue": "default",
        "header": "acme",
        "seconds": 3000,
    }


def test_a_task_that_returns_something_else_than_it_declares_fails(registry):
    with pytest.raises(InvalidResult, match=r"^lies declares that it returns int, but the value is something else: "):
        registry.lies.delay().get(timeout=WAIT)


@pytest.mark.proves("H-15")
def test_a_message_that_does_not_fit_fails_with_the_signature(registry, shared):
    with pytest.raises(InvalidArguments) as failed:
        shared.app.send_task("add", ("x",)).get(timeout=WAIT)
    assert str(failed.value) == (
        "add(x: int, y: int = 0) -> int: x: Input should be a valid integer, unable to parse string as an integer"
    )


def test_tasks_send_tasks_but_do_not_wait_for_them(registry):
    from celeriac.exceptions import BlockingCall

    assert registry.spawns.delay().get(timeout=WAIT)
    assert registry.spawns_async.delay().get(timeout=WAIT)
    with pytest.raises(BlockingCall, match="would block the worker slot that runs task 'waits'"):
        registry.waits_for_another.delay().get(timeout=WAIT)
    with pytest.raises(BlockingCall, match="would block the running event loop"):
        registry.blocks_its_loop.delay().get(timeout=WAIT)
