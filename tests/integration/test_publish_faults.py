"""Publishing while the broker is gone, hangs, refuses or forgets: a true answer within the budget."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import OperationalError
from kombu import Connection
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import free_port, until
from tests.kit.service import Container, Registry

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.exceptions import BrokerFull, BrokerUnavailable, BulkInterrupted, InvalidArguments
from celeriac.tasks.bulk import Arguments

pytestmark = [pytest.mark.xdist_group("publish"), pytest.mark.timeout(120)]

BUDGET = 1.0
ANSWER = 10.0
"""Seconds within which each test expects an answer: the budget, on a machine that is busy with everything else."""
LIST = "default\x06\x166"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Generator[PrivateRedis]:
    with PrivateRedis(tmp_path_factory.mktemp("redis"), aof=False) as server:
        yield server


@pytest.fixture
def proxy(server) -> Generator[TcpProxy]:
    server.client.flushall()
    with TcpProxy(server.port) as proxy:
        yield proxy


@contextmanager
def app_on(url: str, **options: Any) -> Generator[tuple[Celery, Registry]]:
    said = {"redis_url": url, "publish_timeout": BUDGET, **options}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    Registry.install(app, Container())
    yield app, Registry(CeleryPublisher(app))
    app.close()


@pytest.fixture
def registry(proxy) -> Generator[Registry]:
    """A registry that has sent before, so that its connection is an old one."""
    with app_on(proxy.url()) as (_, registry):
        registry.ping.delay()
        yield registry


def count(server: PrivateRedis) -> int:
    return int(server.client.llen(LIST))


def id_in(message: bytes) -> str:
    return str(json.loads(message)["headers"]["id"])


def refusal(call: Callable[[], object]) -> BrokerUnavailable:
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable) as refused:
        call()
    assert time.monotonic() - started < ANSWER
    return refused.value


def test_a_server_that_is_not_there(server):
    with app_on(f"redis://:geheim@127.0.0.1:{free_port()}/0") as (_, registry):
        error = refusal(registry.ping.delay)
        assert "refused" in error.reason
        assert not error.uncertain
        assert "geheim" not in str(error)
        error = refusal(registry.ping.delay)
        assert "circuit open, next try in" in error.reason
        assert "refused" in error.reason


@pytest.mark.parametrize("fault", ["blackhole", "refuse"])
def test_a_fault_ends_in_a_clear_error_and_is_over_when_it_is_mended(server, proxy, registry, fault):
    getattr(proxy, fault)()
    first = refusal(registry.ping.delay)
    assert first.uncertain is (fault == "blackhole")
    assert "circuit open" in refusal(registry.ping.delay).reason
    proxy.mend()
    before = count(server)
    until(lambda: sends(registry.ping.delay))
    assert count(server) >= before + 1


def sends(call: Callable[[], object]) -> bool:
    try:
        call()
    except BrokerUnavailable:
        return False
    return True


@pytest.mark.parametrize("fault", ["half_open", "reset"])
def test_an_old_connection_that_is_dead_costs_no_call(server, proxy, registry, fault):
    getattr(proxy, fault)()
    registry.ping.delay()
    registry.ping.delay()
    assert count(server) == 3


def test_an_answer_that_is_lost_leads_to_no_second_message_while_the_first_is_there(server, proxy, registry):
    proxy.cut_after(1)
    registry.ping.delay()
    assert count(server) == 2


def test_an_answer_that_is_lost_leads_to_the_same_message_again_where_the_first_is_gone(
    server, proxy, registry, caplog
):
    server.client.delete(LIST)
    taker = threading.Thread(target=server.client.brpop, args=(LIST, 20))
    taker.start()
    until(lambda: server.client.info("clients")["blocked_clients"])
    proxy.cut_after(1)
    sent = registry.ping.delay()
    taker.join()
    (again,) = server.client.lrange(LIST, 0, -1)
    assert sent.id.encode() in again
    assert "was lost; the message is sent again" in caplog.text


def test_with_no_second_try_a_lost_answer_is_told(server, proxy):
    with app_on(proxy.url(), task_publish_retry=False) as (_, registry):
        registry.ping.delay()
        proxy.cut_after(1)
        assert refusal(registry.ping.delay).uncertain


def test_stock_ways_of_sending_raise_what_celery_raises(proxy, registry):
    proxy.refuse()
    app = registry.ping.publisher.app
    with pytest.raises(OperationalError) as refused:
        app.send_task("ping")
    assert isinstance(refused.value.__cause__, BrokerUnavailable)


def test_a_full_server_is_named(server, proxy, registry):
    server.configure("maxmemory", "1")
    try:
        for call in (registry.ping.delay, lambda: registry.ping.apply_async(countdown=1)):
            error = refusal(call)
            assert isinstance(error, BrokerFull)
            assert not error.uncertain
        with pytest.raises(BulkInterrupted) as interrupted:
            registry.ping.enqueue_many([()] * 3, batch=1)
        assert isinstance(interrupted.value.__cause__, BrokerFull)
        assert interrupted.value.unsent >= 1
        assert not interrupted.value.report.sent
    finally:
        server.configure("maxmemory", "0")
    registry.ping.delay()  # the breaker is about servers that do not answer, and this one did


def test_a_replica_is_no_broker(server, proxy, registry):
    server.client.replicaof("127.0.0.1", free_port())
    try:
        assert "read only replica" in refusal(registry.ping.delay).reason
    finally:
        server.client.replicaof("NO", "ONE")
    until(lambda: sends(registry.ping.delay))


def test_a_wrong_password_is_told_at_once(server):
    with app_on(f"redis://:wrong@127.0.0.1:{server.port}/0") as (_, registry):
        assert "without any password configured" in refusal(registry.ping.delay).reason


def test_a_queue_that_is_no_list(server, proxy, registry):
    server.client.delete(LIST)
    server.client.set(LIST, "a text")
    assert "WRONGTYPE" in refusal(registry.ping.delay).reason
    server.client.delete(LIST)
    registry.ping.delay()


def test_an_admission_is_asked_and_may_refuse(registry):
    sender = registry.ping.publisher.app.amqp.sender
    asked: list[None] = []
    sender.admission, sender._admitted = lambda: asked.append(None), 0.0
    registry.ping.delay()
    registry.ping.delay()
    assert len(asked) == 1

    def refuse() -> None:
        raise BrokerFull(task="any", broker="this", seconds=0.0, reason="used up")

    sender.admission, sender._admitted = refuse, 0.0
    with pytest.raises(BrokerFull):
        registry.ping.delay()


def test_many_coroutines_have_their_answers_within_one_budget(server, proxy, registry):
    proxy.blackhole()

    async def all_at_once() -> list[Any]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(*(registry.ping.adelay() for _ in range(200)), return_exceptions=True)
        ticking.cancel()
        assert ticks > 10, "the loop stood still"
        return answers

    started = time.monotonic()
    answers = asyncio.run(all_at_once())
    assert all(isinstance(answer, BrokerUnavailable) for answer in answers)
    assert time.monotonic() - started < ANSWER
    assert threading.active_count() < 50


def test_queues_are_noted_again_on_a_server_that_was_emptied(server, proxy, registry):
    tables = {b"_kombu.binding.default", b"_kombu.binding_permanent.default"}
    assert tables <= set(server.client.keys())
    with Connection(proxy.url()) as stock:
        channel: Any = stock.default_channel
        assert channel.get_table("default") == [("default", "", "default")]
    server.client.flushdb()
    proxy.reset()
    registry.ping.delay()
    assert tables <= set(server.client.keys())


def test_a_forked_child_sends_for_itself(server, registry):
    before = {registry.ping.delay().id for _ in range(2)}
    child = os.fork()
    if not child:
        try:
            registry.ping.delay()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    before |= {registry.ping.delay().id for _ in range(2)}
    sent = [message.decode() for message in server.client.lrange(LIST, 0, -1)]
    assert len(sent) == 6
    others = [message for message in sent if not any(task_id in message for task_id in before)]
    assert len(others) == 2  # the child's, and the one of the fixture
    assert sum(f"gen{os.getpid()}@" in message for message in sent) == 5


def test_threads_share_a_few_connections(server, proxy, registry):
    def send() -> None:
        for _ in range(50):
            registry.ping.delay()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(server) == 401
    assert proxy.connections <= 8
    registry.ping.publisher.app.close()
    until(lambda: not proxy.connections)


# -- many at once


def test_a_bulk_is_sent_in_order_and_in_little_memory(server, registry):
    server.client.delete(LIST)
    taken = 0

    def numbers() -> Generator[tuple[int]]:
        nonlocal taken
        for number in range(25_000):
            taken += 1
            yield (number,)

    report = registry.add.enqueue_many(numbers())
    assert len(report) == taken == report.rest == 25_000
    assert (report.sent, report.uncertain, report.unsent) == ((range(25_000),), (), ())
    ids = list(report.ids())
    assert len(set(ids)) == 25_000
    sent = server.client.lrange(LIST, 0, -1)
    assert all(task_id.encode() in message for task_id, message in zip(ids, reversed(sent), strict=True))
    assert next(iter(report.results())).id == ids[0]


def test_bad_items_are_told_and_the_others_sent(server, registry):
    server.client.delete(LIST)
    items: list[Any] = [("no number",), (1,), {"x": 2, "y": 3}, {"z": 1}, Arguments((4,), {"y": 5}), 6, [7], (8,)]
    report = registry.add.enqueue_many(items, batch=3)
    assert [each.position for each in report.refused] == [0, 3, 5, 6]
    assert all(isinstance(each.error, InvalidArguments) for each in report.refused)
    assert len(report) == count(server) == 4
    assert list(report.ids()) == [report.id_of(position) for position in (1, 2, 4, 7)]
    assert report.unsent == ()


def test_a_strict_bulk_ends_at_the_first_bad_item(server, registry):
    server.client.delete(LIST)
    with pytest.raises(BulkInterrupted) as interrupted:
        registry.add.enqueue_many([(1,), (2,), (3,), ("no number",), (5,)], batch=4, strict=True)
    report = interrupted.value.report
    assert isinstance(interrupted.value.__cause__, InvalidArguments)
    assert (len(report), report.rest, count(server)) == (3, 4, 3)


def test_what_a_source_raises_comes_with_the_report(server, registry):
    server.client.delete(LIST)

    def source() -> Generator[tuple[int]]:
        yield (1,)
        yield (2,)
        raise OSError

    with pytest.raises(BulkInterrupted) as interrupted:
        registry.add.enqueue_many(source())
    assert isinstance(interrupted.value.__cause__, OSError)
    assert (len(interrupted.value.report), interrupted.value.rest, count(server)) == (2, 2, 2)


@pytest.mark.parametrize("fault", ["refuse", "blackhole"])
def test_a_bulk_that_breaks_says_what_was_sent(server, proxy, registry, fault):
    server.client.delete(LIST)

    def source() -> Generator[tuple[int]]:
        for number in range(10_000):
            if number == 5_000:
                getattr(proxy, fault)()
            yield (number,)

    with pytest.raises(BulkInterrupted) as interrupted:
        registry.add.enqueue_many(source(), batch=100)
    report = interrupted.value.report
    proxy.mend()
    time.sleep(0.2)  # what the proxy held back arrives now
    arrived = {id_in(message) for message in server.client.lrange(LIST, 0, -1)}
    sent = set(report.ids())
    assert len(sent) == interrupted.value.sent >= 4_800
    assert sent <= arrived, "what was called sent is there"
    assert not arrived & {report.id_of(position) for each in report.unsent for position in each}
    assert arrived <= sent | {report.id_of(position) for each in report.uncertain for position in each}
    covered = sum(map(len, (*report.sent, *report.uncertain, *report.unsent)))
    assert covered == report.rest <= 5_200


def test_a_bulk_goes_on_over_a_connection_that_was_reset_between_two_batches(server, proxy, registry):
    server.client.delete(LIST)

    def source() -> Generator[tuple[int]]:
        for number in range(300):
            if number == 200:
                until(lambda: count(server) >= 100)
                time.sleep(0.05)
            yield (number,)

    report = registry.add.enqueue_many(source(), batch=100)
    assert len(report) == 300
    proxy.reset()
    assert len(registry.add.enqueue_many([(1,)])) == 1


def test_a_bulk_of_coroutines(server, registry):
    server.client.delete(LIST)

    async def numbers():
        for number in range(2_500):
            yield (number,)

    async def both() -> None:
        assert len(await registry.add.aenqueue_many((number,) for number in range(2_500))) == 2_500
        assert len(await registry.add.aenqueue_many(numbers(), batch=700)) == 2_500

    asyncio.run(both())
    assert count(server) == 5_000


def test_whoever_listens_hears_of_each(server, registry):
    from celery import signals

    server.client.delete(LIST)
    heard: list[str] = []

    def listen(sender: str, headers: dict[str, Any], **_: Any) -> None:
        headers["trace"] = "it"
        heard.append(headers["id"])

    signals.before_task_publish.connect(listen)
    try:
        single = registry.ping.delay()
        report = registry.ping.enqueue_many([(), ()])
    finally:
        signals.before_task_publish.disconnect(listen)
    assert heard == [single.id, *report.ids()]
    assert all(b'"trace": "it"' in message for message in server.client.lrange(LIST, 0, -1))
    registry.ping.delay()
    assert len(heard) == 3


def test_task_sent_events(server, proxy):
    with app_on(proxy.url(), task_send_sent_event=True) as (app, registry):
        seen: list[dict[str, Any]] = []
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"task-sent": seen.append})
            with receiver.consumer_context() as (reading, _, _):
                drain(reading)  # which subscribes
                sent = registry.ping.delay()
                until(lambda: drained(reading, seen))
        assert [event["uuid"] for event in seen] == [sent.id]


def drain(connection: Any) -> None:
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)


def drained(connection: Any, into: list[Any]) -> list[Any]:
    drain(connection)
    return into
