"""Waiting for results: one connection for all, precise, and over whatever the server does."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest
from celery.result import AsyncResult, GroupResult
from redis.exceptions import RedisError
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.kit.results import app_on, group_of, in_thread, raw_of, result_of, same, watched

from celeriac import Progress, TaskResult, TaskState
from celeriac.exceptions import ResultTimeout, ResultUnavailable, TaskRevoked

pytestmark = pytest.mark.xdist_group("results")


@pytest.fixture
def worker(server) -> Generator[Any]:
    """Stores results, past whatever is between the server and those who wait."""
    with app_on(server.url) as app:
        yield app.backend


@pytest.fixture
def app(proxy) -> Generator[Any]:
    """Waits for results."""
    with app_on(proxy.url()) as app:
        yield app


def test_a_result_is_there_when_it_was_stored_before_and_when_it_comes_later(server, app, worker):
    early, late = result_of(app), result_of(app)
    worker.store_result(early.id, {"a": 1}, "SUCCESS")
    assert early.get(timeout=10) == {"a": 1}
    with in_thread(lambda: late.get(timeout=20)) as outcomes:
        until(lambda: watched(server) == 2)
        worker.store_result(late.id, None, "STARTED")
        worker.store_result(late.id, 7, "SUCCESS")
    assert outcomes == [7]
    assert late.get(timeout=1) == 7


def test_a_timeout_says_what_was_last_heard_and_is_precise(app, worker):
    silent, started = result_of(app), result_of(app)
    worker.store_result(started.id, None, "STARTED")
    begun = time.monotonic()
    with pytest.raises(ResultTimeout, match="its state is PENDING"):
        silent.get(timeout=0.2)
    with pytest.raises(ResultTimeout, match="its state is STARTED"):
        started.get(timeout=0)
    assert time.monotonic() - begun >= 0.2

    async def main() -> None:
        with pytest.raises(ResultTimeout, match="its state is STARTED"):
            await started.aget(timeout=0.1)

    asyncio.run(main())


def test_many_threads_share_one_connection_and_none_is_forgotten(server, app, worker):
    results = [result_of(app) for _ in range(24)]
    waits = [partial(result.get, timeout=20 + number) for number, result in enumerate(results)]
    before = len(server.client.client_list())
    with in_thread(*waits) as outcomes:
        until(lambda: watched(server) == 24)
        assert len(server.client.client_list()) == before + 1
        for number, result in enumerate(results):
            worker.store_result(result.id, number, "SUCCESS")
            time.sleep(0.002 * (number % 3))
    assert outcomes == list(range(24))


def test_who_stops_reading_hands_over_to_another(server, app, worker):
    """The one that reads for all goes first, by its timeout, by its result, or by an error of its own."""
    last = result_of(app)
    leaders = [result_of(app) for _ in range(3)]
    with in_thread(lambda: leaders[0].get(timeout=0.5)) as first:
        until(lambda: watched(server) == 1)
        with in_thread(lambda: leaders[1].get(timeout=20), lambda: leaders[2].get(timeout=20)) as others:
            until(lambda: watched(server) == 3)
            with in_thread(lambda: last.get(timeout=20)) as outcomes:
                until(lambda: watched(server) == 4 and first[0])
                worker.store_result(leaders[1].id, 1, "SUCCESS")
                server.client.publish(f"celery-task-meta-{leaders[2].id}", "{torn")
                until(lambda: all(others))
                worker.store_result(last.id, 9, "SUCCESS")
    assert isinstance(first[0], ResultTimeout)
    assert (others[0], type(others[1])) == (1, ResultUnavailable)
    assert outcomes == [9]


def test_a_thousand_coroutines_wait_over_one_connection_without_a_thread(server, app, worker):
    async def main() -> None:
        results = [result_of(app) for _ in range(1000)]
        before, threads = len(server.client.client_list()), threading.active_count()
        waiting = asyncio.gather(*(result.aget(timeout=60) for result in results))
        await asyncio.to_thread(until, lambda: watched(server) == 1000)
        assert len(server.client.client_list()) == before + 1
        assert threading.active_count() <= threads + 2  # the one that looks, and the one that connected
        for number, result in enumerate(results):
            worker.store_result(result.id, number, "SUCCESS")
        assert await waiting == list(range(1000))

    asyncio.run(main())
    asyncio.run(_nobody_waits_any_more(app))


async def _nobody_waits_any_more(app: Any) -> None:
    backend = app.backend
    assert not backend.loops._of
    assert not backend.subscription._watches
    assert not backend.subscription._by_key


def test_threads_and_loops_wait_side_by_side(server, app, worker):
    results = [result_of(app) for _ in range(6)]

    async def wait(result: TaskResult[Any]) -> Any:
        return await result.aget(timeout=20)

    waits = [
        partial(asyncio.run, wait(result)) if n % 2 else partial(result.get, 20) for n, result in enumerate(results)
    ]
    with in_thread(*waits) as outcomes:
        until(lambda: watched(server) == 6)
        for number in (5, 0, 1, 4, 3, 2):
            worker.store_result(results[number].id, number, "SUCCESS")
            time.sleep(0.02)
    assert outcomes == list(range(6))


def test_a_cancelled_coroutine_leaves_nothing(server, app, worker):
    async def main() -> None:
        cancelled, kept = result_of(app), result_of(app)
        task, other = asyncio.create_task(cancelled.aget()), asyncio.create_task(kept.aget(timeout=20))
        await asyncio.to_thread(until, lambda: watched(server) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        worker.store_result(kept.id, 1, "SUCCESS")
        assert await other == 1

    asyncio.run(main())
    asyncio.run(_nobody_waits_any_more(app))


def test_channels_that_nobody_waits_for_are_left(server, app, worker):
    for number in range(200):
        result = result_of(app)
        worker.store_result(result.id, number, "SUCCESS")
        assert result.get(timeout=10) == number
    assert watched(server) <= 33


Break = Callable[[PrivateRedis, TcpProxy], None]


def restart(server: PrivateRedis, _: TcpProxy) -> None:
    server.kill()
    server.start()


def refuse_for_a_moment(_: PrivateRedis, proxy: TcpProxy) -> None:
    proxy.refuse()
    time.sleep(0.5)
    proxy.mend()


PASSING: dict[str, Break] = {
    "reset": lambda _, proxy: proxy.reset(),
    "killed by the server": lambda server, _: server.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub"),
    "restarted": restart,
    "refused for a moment": refuse_for_a_moment,
    "half-open": lambda _, proxy: proxy.half_open(),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_connection_that_breaks_is_opened_again_and_nothing_is_missed(server, proxy, app, worker, fault):
    threaded, looped, missed = (result_of(app) for _ in range(3))

    async def wait() -> Any:
        return await looped.aget(timeout=20)

    waits = (lambda: threaded.get(timeout=20), lambda: missed.get(timeout=20), lambda: asyncio.run(wait()))
    with in_thread(*waits) as outcomes:
        until(lambda: watched(server) == 3)
        PASSING[fault](server, proxy)
        worker.store_result(missed.id, 1, "SUCCESS")
        until(lambda: watched(server) >= 2)
        worker.store_result(looped.id, 2, "SUCCESS")
        worker.store_result(threaded.id, 3, "SUCCESS")
    assert outcomes == [3, 1, 2]


def test_a_silent_connection_is_given_up_while_new_ones_are_fine(server, proxy, app, worker):
    warm = result_of(app)
    worker.store_result(warm.id, 1, "SUCCESS")
    assert warm.get(timeout=10) == 1
    proxy.half_open()
    assert result_of(app, warm.id).get(timeout=10) == 1
    assert result_of(app, warm.id).state is TaskState.SUCCESS


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
@pytest.mark.parametrize("warm", [True, False], ids=["warm", "cold"])
def test_a_server_that_stays_away_is_a_typed_error_in_bounded_time(server, proxy, app, fault, warm):
    if warm:
        assert result_of(app).state is TaskState.PENDING
    getattr(proxy, fault)()
    result = result_of(app)

    async def main() -> Any:
        return await result.aget(timeout=30)

    begun = time.monotonic()
    for read in (lambda: result.get(timeout=30), lambda: result.state, result.ready, lambda: asyncio.run(main())):
        with pytest.raises(ResultUnavailable) as refused:
            read()
        assert f"redis://127.0.0.1:{proxy.port}/0" in str(refused.value)
    with pytest.raises(RedisError):
        _ = AsyncResult(result.id, app=app).state
    assert time.monotonic() - begun < 20  # five of them, of two seconds each
    with pytest.raises(ResultUnavailable):
        result.get(timeout=0.1)
    proxy.mend()
    assert until(lambda: _state_or_none(result)) is TaskState.PENDING


def _state_or_none(result: TaskResult[Any]) -> TaskState | None:
    try:
        return result.state
    except ResultUnavailable:
        return None


def test_all_who_wait_hear_of_a_server_that_went_away(server, proxy, app):
    async def wait() -> Any:
        return await result_of(app).aget(timeout=60)

    waits = (lambda: result_of(app).get(timeout=60), lambda: result_of(app).get(), lambda: asyncio.run(wait()))
    with in_thread(*waits) as outcomes:
        until(lambda: watched(server) == 3)
        server.kill()
    assert [type(outcome) for outcome in outcomes] == [ResultUnavailable] * 3


@pytest.mark.parametrize("value", [b"{torn", b"[]", b"7", b'{"a": 1}', b"\xff\xfe", b"list"])
def test_what_is_stored_but_no_result_is_a_typed_error(server, app, value):
    result = result_of(app)
    key = f"celery-task-meta-{result.id}"
    if value == b"list":
        server.client.lpush(key, "x")
    else:
        server.client.set(key, value)

    async def main() -> None:
        await result.aget(timeout=5)

    for read in (lambda: result.get(timeout=5), lambda: result.state, lambda: asyncio.run(main())):
        with pytest.raises(ResultUnavailable):
            read()


def test_a_user_who_may_not_subscribe_is_told(server):
    server.client.execute_command("ACL", "SETUSER", "narrow", "on", ">pw", "~*", "+@all", "resetchannels")
    with app_on(f"redis://narrow:pw@127.0.0.1:{server.port}/0") as app, pytest.raises(ResultUnavailable, match="perm"):
        result_of(app).get(timeout=20)


def test_of_a_chain_an_earlier_steps_failure_ends_the_wait(server, app, worker):
    first = raw_of(app)
    last = result_of(app, parent=first)

    async def wait() -> Any:
        return await last.aget(timeout=20)

    with in_thread(lambda: asyncio.run(wait()), lambda: last.get(timeout=20)) as outcomes:
        until(lambda: watched(server) == 2)
        worker.store_result(first.id, KeyError("k"), "FAILURE")
    assert [repr(outcome) for outcome in outcomes] == ["KeyError('k')"] * 2
    revoked = raw_of(app)
    worker.mark_as_revoked(revoked.id, "enough")
    with pytest.raises(TaskRevoked):
        result_of(app, parent=revoked).get(timeout=20)


def test_a_groups_values_are_in_order_and_its_state_takes_one_round_trip(server, app, worker):
    leaves = [raw_of(app) for _ in range(5)]
    inner, _ = group_of(app, *leaves[3:])
    raw, group = group_of(app, *leaves[:3], inner)
    assert (group.state, group.progress, group.ready()) == (TaskState.PENDING, Progress(0, 4, {}), False)
    with in_thread(lambda: group.get(timeout=20)) as outcomes:
        until(lambda: watched(server) == 5)
        for number in (4, 0, 3, 1, 2):
            worker.store_result(leaves[number].id, number, "SUCCESS")
    assert outcomes == [[0, 1, 2, [3, 4]]]
    again = TaskResult("group", raw, same)
    assert (again.state, again.progress, again.ready()) == (TaskState.SUCCESS, Progress(4, 4, {}), True)
    fresh = GroupResult(raw.id, [raw_of(app, leaf.id) for leaf in leaves], app=app)
    server.client.config_resetstat()
    assert TaskResult("group", fresh, same).state is TaskState.SUCCESS
    assert server.client.info("commandstats")["cmdstat_mget"]["calls"] == 1
    assert raw.join_native(timeout=5) == [0, 1, 2, [3, 4]]


def test_a_groups_first_failure_ends_the_wait(server, app, worker):
    leaves = [raw_of(app) for _ in range(3)]
    _, group = group_of(app, *leaves)
    with in_thread(lambda: group.get(timeout=20)) as outcomes:
        until(lambda: watched(server) == 3)
        worker.store_result(leaves[1].id, KeyError("k"), "FAILURE")
    assert repr(outcomes[0]) == "KeyError('k')"
    assert group.state is TaskState.FAILURE
    with pytest.raises(ResultTimeout, match="its state is PENDING"):
        group_of(app, AsyncResult("nobody", app=app))[1].get(timeout=0.05)


def test_a_child_waits_over_a_connection_of_its_own(server, app, worker):
    known, late = result_of(app), result_of(app)
    worker.store_result(known.id, 1, "SUCCESS")
    with in_thread(lambda: late.get(timeout=20)) as outcomes:  # so that locks are held, and the connection is in use
        until(lambda: watched(server) == 1)
        child = os.fork()
        if child == 0:
            try:
                fine = result_of(app, known.id).get(timeout=10) == 1
            except BaseException:  # noqa: BLE001  a child of a test must not go on as another one
                fine = False
            os._exit(0 if fine else 1)
        assert os.waitpid(child, 0)[1] == 0
        worker.store_result(late.id, 2, "SUCCESS")
    assert outcomes == [2]
    assert result_of(app, known.id).get(timeout=10) == 1


def test_what_this_process_handed_over_can_be_read_at_once_and_forgotten(server):
    from celeriac.transport.results import writer as results

    with app_on(server.url) as app:
        results.coalesce()
        try:
            app.backend.store_result("mine", 1, "SUCCESS")
            assert app.backend.get_result("mine") == 1
            app.backend.store_result("mine", 2, "SUCCESS")
            AsyncResult("mine", app=app).forget()
            results.flush()
            assert AsyncResult("mine", app=app).state == "PENDING"
        finally:
            results.coalesce(on=False)
