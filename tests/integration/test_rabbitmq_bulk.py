"""Many tasks in one call on RabbitMQ: confirms are not waited for one by one, and the report is exact."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import pytest
from kombu import Connection
from tests.faults.harness.forms import forms
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on

from celeriac import Priority
from celeriac.exceptions import BrokerUnavailable, BulkInterrupted
from celeriac.tasks.bulk import Arguments
from celeriac.testing.servers import rabbitmq_server
from celeriac.transport.rabbitmq.bulk import UNDER_WAY

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(120)]
WAIT = 30


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with rabbit_on(virtual_host, second_url) as rabbit:
        yield rabbit


@pytest.fixture
def direct(rabbit: Rabbit) -> str:
    """Past the proxy."""
    return rabbit.url


@pytest.fixture
def proxy(rabbit: Rabbit, direct: str) -> Generator[TcpProxy]:
    where = urlsplit(direct)
    with TcpProxy(where.port or 5672) as proxy:
        rabbit.url = where._replace(netloc=f"{where.username}:{where.password}@127.0.0.1:{proxy.port}").geturl()
        yield proxy


def taken(url: str, queue: str) -> list[Any]:
    """Everything that is in a queue, out of it."""
    with Connection(url) as connection:
        channel: Any = connection.channel()
        return list(iter(lambda: channel.basic_get(queue, no_ack=True), None))


def test_a_bulk_is_sent_in_order_and_runs(rabbit):
    registry = rabbit.client().registry
    report = registry.add.enqueue_many((number, 1) for number in range(2_500))
    assert (report.sent, report.uncertain, report.unsent) == ((range(2_500),), (), ())
    ids = list(report.ids())
    assert rabbit.depth() == 2_500
    assert [message.properties["correlation_id"] for message in taken(rabbit.url, rabbit.queue)] == ids
    again = registry.add.enqueue_many([(1, 2), {"x": 3, "y": 4}, Arguments((5,), {"y": 6})])
    rabbit.start()
    assert [result.get(timeout=WAIT) for result in again.results()] == [3, 7, 11]


@pytest.mark.parametrize("options", [{}, {"priority": Priority.HIGH, "expires": 600.0, "headers": {"x-tenant": "a"}}])
def test_each_message_is_what_a_single_call_sends(rabbit, options):
    registry = rabbit.client().registry
    registry.add.apply_async((1, 2), **options)
    registry.add.enqueue_many([(1, 2)], **options)
    single, bulk = taken(rabbit.url, rabbit.queue)
    assert json.loads(single.body) == json.loads(bulk.body)
    assert single.body == bulk.body
    said = [dict(message.properties) for message in (single, bulk)]
    headers = [each.pop("application_headers") for each in said]
    for properties, table in zip(said, headers, strict=True):
        assert properties.pop("correlation_id") == table.pop("id") == table.pop("root_id")
        table.pop("expires")  # a moment each
    assert said[0] == said[1]
    assert headers[0] == headers[1]


def test_bad_items_are_told_and_the_others_sent(rabbit):
    report = rabbit.client().registry.add.enqueue_many([("no number",), (1,), {"z": 1}, (8,)], batch=2)
    assert [each.position for each in report.refused] == [0, 2]
    assert (len(report), rabbit.depth(), report.unsent) == (2, 2, ())


@pytest.mark.parametrize("fault", forms(["reset", "mute"], ["refuse", "blackhole"]))
def test_a_bulk_that_breaks_in_the_middle_says_what_was_sent(rabbit, direct, proxy, fault):
    registry = rabbit.client(publish_timeout=1.5).registry
    registry.add.delay(0)
    taken(direct, rabbit.queue)

    def source() -> Generator[tuple[int]]:
        for number in range(10_000):
            if number == 5_000:
                getattr(proxy, fault)()
            yield (number,)

    with pytest.raises(BulkInterrupted) as interrupted:
        registry.add.enqueue_many(source(), batch=100)
    assert isinstance(interrupted.value.__cause__, BrokerUnavailable)
    report = interrupted.value.report
    proxy.mend()
    sent = set(report.ids())
    unsure = {report.id_of(position) for each in report.uncertain for position in each}
    unsent = {report.id_of(position) for each in report.unsent for position in each}
    assert 5_000 - UNDER_WAY <= len(sent) == interrupted.value.sent
    assert len(unsure) == interrupted.value.uncertain
    assert sum(map(len, (*report.sent, *report.uncertain, *report.unsent))) == report.rest
    arrived: set[str] = set()

    def all_there() -> bool:
        arrived.update(message.properties["correlation_id"] for message in taken(direct, rabbit.queue))
        return sent <= arrived

    until(all_there)
    assert arrived <= sent | unsure
    assert not arrived & unsent
    until(lambda: _sends(registry))


def _sends(registry: Any) -> bool:
    try:
        return len(registry.add.enqueue_many([(1,)])) == 1
    except BulkInterrupted:
        return False


def test_a_connection_that_was_cut_while_nobody_used_it_is_made_anew(rabbit, direct, proxy):
    registry = rabbit.client().registry
    assert len(registry.add.enqueue_many([(1,)])) == 1
    proxy.reset()
    assert len(registry.add.enqueue_many([(2,)])) == 1
    assert len(taken(direct, rabbit.queue)) == 2


def test_messages_that_lead_nowhere_are_told_and_nothing_is_called_sent(rabbit):
    registry = rabbit.client().registry
    registry.ping.delay()
    with rabbit.channel() as channel:
        channel.queue_delete(rabbit.queue)
    with pytest.raises(BulkInterrupted, match="leads to no queue") as interrupted:
        registry.ping.enqueue_many([()] * 10)
    assert (interrupted.value.sent, interrupted.value.uncertain, interrupted.value.unsent) == (0, 0, 10)


def test_a_delayed_bulk_waits_on_the_server(rabbit):
    registry = rabbit.client().registry
    report = registry.add.enqueue_many([(1, 1), (2, 2)], countdown=3)
    assert (len(report), rabbit.depth()) == (2, 0)
    rabbit.start()
    assert [result.get(timeout=WAIT) for result in report.results()] == [2, 4]


def test_the_history_hears_of_each_task_that_was_confirmed(rabbit):
    client = rabbit.client(history_enabled=True)
    client.redis.delete("celeriac.history")
    report = client.registry.add.enqueue_many([(1, 2), (3, 4)])

    def told() -> str:
        entries: Any = client.redis.xrange("celeriac.history")
        return b"".join(fields[b"e"] for _, fields in entries).decode()

    until(lambda: all(task_id in told() for task_id in report.ids()))
