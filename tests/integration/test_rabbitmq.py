"""RabbitMQ carries tasks as safely as Redis does."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Generator
from typing import Any

import pytest
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on

from celeriac import Priority
from celeriac.exceptions import BrokerUnavailable, ConfigurationError, QueueMismatch, UnroutableMessage
from celeriac.history.deadletters import DeadLetters
from celeriac.testing.servers import rabbitmq_server

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(120)]
WAIT = 30
FRAGILE = "tests.kit.fragile"
POOLS = forms(["lane"], ["prefork", "threads", "solo"])


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with rabbit_on(virtual_host, second_url) as rabbit:
        yield rabbit


def executions(path: Any) -> list[str]:
    return path.read_text().split() if path.exists() else []


@pytest.mark.proves("S000-1", "S001-5")
@pytest.mark.parametrize("pool", POOLS)
def test_a_task_runs_and_its_result_is_read_from_redis(rabbit, pool):
    rabbit.start(pool=pool, concurrency=2)
    registry = rabbit.client().registry
    results = [registry.add.delay(number, 1) for number in range(20)]
    assert [result.get(timeout=WAIT) for result in results] == list(range(1, 21))
    assert results[0].state.value == "SUCCESS"
    until(lambda: rabbit.depth() == 0)


@pytest.mark.proves("S002-5")
@pytest.mark.parametrize("pool", POOLS)
def test_a_task_whose_worker_is_killed_runs_again_at_once(rabbit, pool, tmp_path):
    path = tmp_path / "executions"
    first = rabbit.start(pool=pool, concurrency=1)
    result = rabbit.client().registry.stall.delay(path)
    until(lambda: executions(path))
    first.kill()
    rabbit.start(pool=pool, concurrency=1)
    assert result.get(timeout=WAIT) == "execution 2"
    until(lambda: rabbit.depth() == 0)


@pytest.mark.proves("S002-6")
@pytest.mark.parametrize("pool", POOLS[:2])
def test_a_task_whose_pool_process_is_killed_runs_again(rabbit, pool, tmp_path):
    path = tmp_path / "executions"
    rabbit.start(pool=pool, concurrency=1)
    result = rabbit.client().registry.stall.delay(path)
    os.kill(int(until(lambda: executions(path))[0]), signal.SIGKILL)
    assert result.get(timeout=WAIT) == "execution 2"


@pytest.mark.parametrize("pool", POOLS[:2])
def test_a_task_runs_no_more_often_than_it_may(rabbit, pool, tmp_path):
    path = tmp_path / "executions"
    client = rabbit.client()
    result = client.app.send_task("fragile.dies", (str(path),))
    rabbit.start(FRAGILE, pool=pool, concurrency=1, env={"CELERY_TASK_MAX_DELIVERIES": "3"})
    (letter,) = until(lambda: DeadLetters(client.app).list().letters, timeout=60)
    assert letter.reason == "too-many-deliveries"
    assert (letter.task, letter.task_id, letter.queue) == ("fragile.dies", result.id, rabbit.queue)
    assert letter.deliveries == 3
    assert len(executions(path)) == 3
    until(lambda: result.state == "FAILURE")
    assert client.app.send_task("fragile.fine").get(timeout=WAIT) == "fine"


def test_a_message_that_no_worker_lives_to_bury_is_buried_by_the_server(rabbit):
    client = rabbit.client(task_max_deliveries=2)
    result = client.registry.ping.delay()
    with rabbit.channel() as channel:
        for _ in range(3):
            message = until(lambda: channel.basic_get(rabbit.queue, no_ack=False))
            channel.basic_reject(message.delivery_tag, requeue=True)
    (letter,) = until(lambda: DeadLetters(client.app).list().letters)
    assert (letter.reason, letter.deliveries, letter.worker) == ("too-many-deliveries", 3, None)
    assert (letter.task_id, letter.queue) == (result.id, rabbit.queue)


def test_a_task_that_nobody_knows_is_a_dead_letter_and_no_loss(rabbit):
    worker = rabbit.start()
    client = rabbit.client()
    client.app.send_task("no.such.task", (1,))
    (letter,) = until(lambda: DeadLetters(client.app).list().letters)
    assert (letter.reason, letter.task, letter.args) == ("unknown-task", "no.such.task", "(1,)")
    assert client.registry.ping.delay().get(timeout=WAIT) == {"result": "pong"}
    assert worker.returncode is None


@pytest.mark.parametrize("pool", POOLS)
def test_delayed_tasks_wait_on_the_server_and_run_once(rabbit, pool, tmp_path):
    path = tmp_path / "ran"
    registry = rabbit.client().registry
    # No worker ever ran here: the producer makes what delays them.
    early = [registry.record.apply_async((path, str(number)), countdown=3) for number in range(10)]
    sent = time.monotonic()
    rabbit.start(pool=pool, concurrency=1)
    assert registry.ping.delay().get(timeout=WAIT) == {"result": "pong"}  # nothing stands in its way
    for result in early:
        result.get(timeout=WAIT)
    assert time.monotonic() - sent > 2.5
    assert sorted(executions(path)) == sorted(str(number) for number in range(10))


def test_a_delayed_task_of_a_producer_that_knows_nothing_of_delays_waits_on_the_server(rabbit, tmp_path):
    path = tmp_path / "ran"
    client = rabbit.client()
    rabbit.start()
    client.registry.ping.delay().get(timeout=WAIT)
    stock = client.app.amqp.as_task_v2("some-id", "record", (str(path), "ran"), {}, countdown=3)
    with rabbit.channel() as channel:
        message = channel.prepare_message(
            json.dumps(stock.body), content_type="application/json", content_encoding="utf-8", headers=stock.headers
        )
        channel.basic_publish(message, routing_key=rabbit.queue)
    sent = time.monotonic()
    assert client.registry.ping.delay().get(timeout=2) == {"result": "pong"}  # prefetch is 1: it is not held
    until(lambda: executions(path))
    assert time.monotonic() - sent > 2.5
    assert executions(path) == ["ran"]


def test_a_task_is_retried_with_a_delay_in_the_queue_that_it_was_sent_to(rabbit):
    other = f"{rabbit.queue}-other"
    rabbit.start(FRAGILE, queues=[other])  # and nobody reads the default queue
    app = rabbit.client(task_queues=[other]).app
    result = app.send_task("fragile.later", (3, 1.2), queue=other)
    assert result.get(timeout=WAIT) == [3, other]


@pytest.mark.proves("S000-3", "S000-40")
def test_a_classic_queue_with_priorities_gives_the_urgent_first(rabbit, tmp_path):
    path = tmp_path / "order"
    queues = {rabbit.queue: {"queue_arguments": {"x-queue-type": "classic"}}}
    registry = rabbit.client(task_queues=queues).registry
    order = [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL]
    results = [registry.record.s(path, each.name).set(priority=each).delay() for each in order]
    results.insert(2, registry.record.delay(path, "unsaid"))
    rabbit.start(env={"CELERY_TASK_QUEUES": json.dumps(queues)})
    for result in results:
        result.get(timeout=WAIT)
    assert executions(path) == ["CRITICAL", "HIGH", "NORMAL", "unsaid", "LOW"]


@pytest.mark.proves("S000-3")
def test_a_queue_is_read_only_by_a_worker_that_names_it(rabbit):
    urgent = f"{rabbit.queue}-urgent"
    registry = rabbit.client(task_queues=[urgent]).registry
    here, elsewhere = registry.ping.apply_async(queue=urgent), registry.ping.delay()
    rabbit.start(queues=[urgent])
    assert here.get(timeout=WAIT) == {"result": "pong"}
    assert (elsewhere.state.value, rabbit.depth()) == ("PENDING", 1)
    rabbit.start()
    assert elsewhere.get(timeout=WAIT) == {"result": "pong"}


def test_an_expired_task_is_revoked_rather_than_dropped_without_a_word(rabbit, tmp_path):
    path = tmp_path / "ran"
    late = rabbit.client().registry.record.apply_async((path, "ran"), expires=0.01)
    rabbit.start()
    until(lambda: late.state.value == "REVOKED")
    assert not path.exists()


def test_a_message_that_leads_nowhere_is_an_error(rabbit):
    client = rabbit.client()
    client.registry.ping.delay()
    with pytest.raises(UnroutableMessage, match="leads to no queue by the routing key 'nowhere'"):
        client.app.send_task("ping", exchange=rabbit.queue, routing_key="nowhere")
    client.registry.ping.delay()
    assert rabbit.depth() == 2


def test_a_classic_queue_of_that_name_is_an_error_that_says_what_to_do(rabbit):
    with rabbit.channel() as channel:
        channel.queue_declare(rabbit.queue, durable=True, auto_delete=False)
    with pytest.raises(QueueMismatch, match=f"queue '{rabbit.queue}' exists on RabbitMQ.*delete it"):
        rabbit.client().registry.ping.delay()


def test_a_queue_with_another_limit_is_used_as_it_is(rabbit):
    rabbit.client(task_max_deliveries=2).registry.ping.delay()
    rabbit.client(task_max_deliveries=7).registry.ping.delay()
    assert rabbit.depth() == 2


def test_queues_that_a_delay_could_confuse_are_refused(rabbit):
    client = rabbit.client(task_queues=["mail", "bulk.mail"])
    with pytest.raises(ConfigurationError, match=r"'mail' and 'bulk\.mail'"):
        client.registry.ping.delay()


def test_a_server_that_is_gone_is_an_error_within_the_budget(rabbit):
    client = rabbit.client(broker_url="amqp://guest:guest@127.0.0.1:1//")
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        client.registry.ping.delay()
    assert time.monotonic() - started < 5
