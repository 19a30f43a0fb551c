"""Results on their way to a server that may break at any moment."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import pytest
from celery.app.task import Context
from celery.exceptions import Reject
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.kit.results import app_on

from celeriac.transport.results import writer as results
from celeriac.transport.results.writer import ResultWriter

pytestmark = pytest.mark.xdist_group("results")


@pytest.fixture
def backend(server) -> Generator[Any]:
    with app_on(server.url) as app:
        yield app.backend


@pytest.fixture
def coalescing() -> Generator[None]:
    results.coalesce()
    yield
    results.coalesce(on=False)


def stored(server: PrivateRedis, task_id: str) -> bytes | None:
    payload: bytes | None = server.client.get(f"celery-task-meta-{task_id}")
    return payload


COUNTING = {"hincrby", "expire"}
"""What counts the tasks that ended: once a batch."""


def calls(client: Any) -> dict[str, int]:
    return {name: count for name, count in all_calls(client).items() if name not in COUNTING}


def all_calls(client: Any) -> dict[str, int]:
    found = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in client.info("commandstats").items()}
    return {name: count for name, count in found.items() if name not in {"info", "config|resetstat", "hello", "ping"}}


def reached(position: int) -> bool:
    return results.durable() >= position


def request(task_id: str) -> Context:
    return Context(id=task_id)


def test_results_travel_together_and_cost_two_commands_each(server, backend, coalescing):
    backend.store_result("first", 0, "SUCCESS")
    backend.writer.flush()
    server.client.config_resetstat()
    for number in range(100):
        backend.store_result(str(number), {"result": "pong"}, "SUCCESS", request=request(str(number)))
    assert results.durable() < results.position()
    assert results.flush() == results.position() == results.durable()
    assert all_calls(server.client) == {"set": 100, "publish": 100, "hincrby": 1}
    assert stored(server, "99") is not None


def test_a_success_that_comes_before_its_report_was_stored_takes_its_place(server, backend, coalescing):
    server.client.config_resetstat()
    for number in range(10):
        backend.store_result(str(number), None, "STARTED", request=request(str(number)))
        backend.store_result(str(number), 1, "SUCCESS", request=request(str(number)))
        backend.store_result(str(number), None, "PROGRESS", request=request(str(number)))
    results.flush()
    assert 10 <= calls(server.client)["set"] <= 20  # more than 10 only where the flusher came in between
    assert all(b'"SUCCESS"' in (stored(server, str(number)) or b"") for number in range(10))


def test_what_nobody_flushes_is_stored_all_the_same(server, backend, coalescing):
    for number in range(3):
        backend.store_result(str(number), 1, "SUCCESS")
        position = results.position()
        until(partial(reached, position), timeout=5)
        assert stored(server, str(number)) is not None
        time.sleep(0.2 * number)  # the thread has gone to sleep by then


def test_elsewhere_a_result_is_stored_when_the_call_returns(server, backend):
    backend.store_result("now", 1, "SUCCESS")
    assert stored(server, "now") is not None
    assert results.durable() == results.position()


def test_threads_store_side_by_side(server, backend, coalescing):
    def store(thread: int) -> None:
        for number in range(200):
            backend.store_result(f"{thread}-{number}", number, "SUCCESS")
            if not number % 16:
                results.flush()

    threads = [threading.Thread(target=store, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.flush()
    assert results.durable() == results.position()
    assert len(server.client.keys("celery-task-meta-*")) == 1600


Break = Callable[[PrivateRedis, TcpProxy], None]
FAULTS: dict[str, tuple[Break, Break]] = {
    "killed": (lambda server, _: server.kill(), lambda server, _: server.start()),
    "read-only": (
        lambda server, _: server.client.execute_command("REPLICAOF", "127.0.0.1", "1"),
        lambda server, _: server.client.execute_command("REPLICAOF", "NO", "ONE"),
    ),
    "full": (
        lambda server, _: server.client.config_set("maxmemory", "1"),
        lambda server, _: server.client.config_set("maxmemory", "0"),
    ),
    "paused": (
        lambda server, _: server.client.execute_command("CLIENT", "PAUSE", "3000", "ALL"),
        lambda server, _: None,
    ),
    "refusing": (lambda _, proxy: proxy.refuse(), lambda _, proxy: proxy.mend()),
    "silent": (lambda _, proxy: proxy.blackhole(), lambda _, proxy: proxy.mend()),
    "half-open": (lambda _, proxy: proxy.half_open(), lambda _, proxy: None),
    "cutting": (lambda _, proxy: proxy.cut_after(3), lambda _, proxy: None),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("together", [True, False], ids=["coalescing", "at once"])
def test_no_fault_raises_and_every_result_is_stored_once_it_is_over(server, proxy, fault, together):
    begins, ends = FAULTS[fault]
    with app_on(proxy.url()) as app:
        results.coalesce(on=together)
        try:
            app.backend.store_result("before", 1, "SUCCESS")
            app.backend.store_result("before", 1, "STARTED")
            results.flush()
            begins(server, proxy)
            for number in range(60):
                app.backend.store_result(str(number), None, "STARTED")
                app.backend.store_result(str(number), number, "SUCCESS" if number % 2 else "FAILURE")
                results.flush(0.5)
            ends(server, proxy)
            assert app.backend.writer.drain(15)
            assert results.durable() == results.position()
        finally:
            results.coalesce(on=False)
    for number in range(60):
        assert (b'"SUCCESS"' if number % 2 else b'"FAILURE"') in (stored(server, str(number)) or b"")
    assert server.client.pttl("celery-task-meta-1") > 0


def test_only_the_first_attempt_waits_for_a_server_that_is_silent(proxy):
    with app_on(proxy.url()) as app:
        app.backend.store_result("before", 1, "SUCCESS")
        proxy.blackhole()
        app.backend.store_result("first", 1, "SUCCESS")
        assert app.backend.writer.away
        started = time.monotonic()
        for number in range(1000):
            app.backend.store_result(str(number), None, "SUCCESS")
        assert time.monotonic() - started < 5  # each attempt takes two
        assert results.durable() < results.position()
        proxy.mend()
        assert app.backend.writer.drain(15)


def test_keys_of_another_type_and_torn_ones_are_overwritten(server, backend):
    for state in ("STARTED", "SUCCESS", "FAILURE"):
        server.client.lpush(f"celery-task-meta-list-{state}", "x")
        server.client.set(f"celery-task-meta-torn-{state}", '{"status": "SUC')
        backend.store_result(f"list-{state}", None, state)
        backend.store_result(f"torn-{state}", None, state)
        assert backend.get_state(f"list-{state}") == backend.get_state(f"torn-{state}") == state


@pytest.mark.parametrize("options", [{"result_serializer": "yaml"}, {"result_compression": "zlib"}], ids=str)
def test_a_success_that_cannot_be_told_by_its_first_bytes_is_not_overwritten_either(server, options):
    accept = {"result_accept_content": ["json", "yaml"]}
    with app_on(server.url, **options, **accept) as app:
        app.backend.store_result("done", {"a": 1}, "SUCCESS")
        server.client.lpush("celery-task-meta-list", "x")
        for state in ("STARTED", "FAILURE"):
            app.backend.store_result("done", None, state)
            app.backend.store_result("list", None, state)
        assert (app.backend.get_state("done"), app.backend.get_result("done")) == ("SUCCESS", {"a": 1})
        assert app.backend.get_state("list") == "FAILURE"


def test_expiries_are_what_the_settings_say(server):
    for options, success, failure in (
        ({"result_expires": 50}, 50, 50),
        ({"result_expires": 50, "result_failure_expires": 500}, 50, 500),
        ({"result_expires": 0}, -1, -1),
    ):
        with app_on(server.url, **options) as app:
            app.backend.store_result("good", 1, "SUCCESS")
            app.backend.store_result("large", "x" * 10_000, "SUCCESS")
            app.backend.store_result("bad", ValueError("x"), "FAILURE")
            found = [server.client.ttl(f"celery-task-meta-{name}") for name in ("good", "large", "bad")]
            assert [max(each, -1) for each in found] == pytest.approx([success, success, failure], abs=2)


def test_a_large_result_is_sent_once(server, backend):
    server.client.config_resetstat()
    backend.store_result("large", "x" * 1_000_000, "SUCCESS")
    assert server.client.info("stats")["total_net_input_bytes"] < 1_500_000
    assert backend.get_result("large") == "x" * 1_000_000


def test_a_value_that_the_server_refuses_for_good_does_not_hold_up_the_others(server, backend, caplog):
    backend.expires = -5
    backend.store_result("refused", 1, "SUCCESS")
    backend.expires = 60
    backend.store_result("fine", 1, "SUCCESS")
    assert (stored(server, "refused"), stored(server, "fine") is None) == (None, False)
    assert "refused the result at celery-task-meta-refused for good" in caplog.text


def test_a_writer_is_full_before_it_makes_anybody_wait_and_drops_reports_first(server):
    from celeriac.transport.link import Link, connector
    from celeriac.transport.results.entry import Entry

    server.kill()
    writer = ResultWriter(Link(connector(server.url), timeout=1), timeout=1, most_entries=5)

    def put(number: int, *, final: bool = True) -> int:
        return writer.put(Entry(b"key-%d" % number, b"x", 60, final), final=final)

    for number in range(5):
        assert not writer.full
        put(number)
    assert writer.full
    assert results.full()
    for number in range(5, 10):
        put(number)
    before = results.position()
    assert put(10, final=False) == before
    blocked = threading.Thread(target=put, args=(11,))
    blocked.start()
    blocked.join(0.3)
    assert blocked.is_alive()
    server.start()
    blocked.join(15)
    assert not blocked.is_alive()
    assert writer.drain(15)
    assert not writer.full
    assert server.client.exists("key-0", "key-9", "key-11") == 3
    writer.close()


def test_a_child_stores_its_own_results_and_leaves_its_parents_alone(server, backend, coalescing):
    backend.store_result("before", 1, "SUCCESS")
    results.flush()
    backend.store_result("parents", 1, "SUCCESS")
    child = os.fork()
    if child == 0:
        fine = not backend.writer.coalesce and results.durable() == results.position()
        backend.store_result("childs", 2, "SUCCESS")
        fine = fine and backend.get_result("before") == 1 and results.durable() == results.position()
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0
    results.flush()
    assert {name for name in ("parents", "childs") if stored(server, name)} == {"parents", "childs"}
    assert backend.get_result("childs") == 2


def run_as_a_task(app: Any, run: Callable[[], Any]) -> Any:
    """As a worker's tracer does, with its own request."""
    from celery.app.trace import build_tracer

    def body() -> Any:
        return run()

    task = app.task(name=f"t{id(run)}", ignore_result=False)(body)
    app.finalize()
    trace: Any = build_tracer(task.name, task, app=app)
    return trace("the-task", (), {}, {"id": "the-task", "called_directly": False})


def test_a_task_that_has_ended_waits_until_its_result_is_stored(server, proxy):
    with app_on(proxy.url(), task_track_started=True) as app:
        app.backend.store_result("before", 1, "SUCCESS")
        proxy.refuse()
        ran: list[int] = []
        ended = threading.Event()

        def work() -> None:
            run_as_a_task(app, lambda: ran.append(1))
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        until(lambda: ran)
        assert not ended.wait(1)
        proxy.mend()
        assert ended.wait(15)
        thread.join()
        assert app.backend.get_state("the-task") == "SUCCESS"


def test_where_a_limit_is_set_the_task_is_given_back_instead(server, proxy):
    with app_on(proxy.url(), result_backend_transport_options={"store_timeout": 0.3}) as app:
        proxy.refuse()
        with pytest.raises(Reject) as rejected:
            run_as_a_task(app, lambda: 1)
        assert vars(rejected.value)["requeue"]
        proxy.mend()
        assert app.backend.writer.drain(15)


def test_a_closed_app_holds_no_connection_and_opens_another_when_it_is_used_again(server):
    before = len(server.client.client_list())
    with app_on(server.url) as app:
        store = partial(app.backend.store_result, result=1, state="SUCCESS")
        threads = [threading.Thread(target=store, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        app.backend.get_state("a")
        app.backend.client.ping()
        assert len(server.client.client_list()) == before + 3
        app.close()
        until(lambda: len(server.client.client_list()) == before)
        assert app.backend.get_result("a") == 1
