"""Between kombu's own transport and ours, in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery import Celery
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.integration.transport.consumer import consuming

from celeriac.exceptions import WorkersRunning
from celeriac.testing.worker import WorkerProcess
from celeriac.transport.redis.migration import adopt, release

pytestmark = pytest.mark.xdist_group("transport")


@pytest.fixture
def stock(server: str) -> Celery:
    app = Celery("stock", broker=server, set_as_current=False)
    app.conf.task_default_queue = "default"
    return app


def two_of(stock: Celery, connection: Any) -> list[Any]:
    """What a stock worker gets, which asks for two messages."""
    got: list[Any] = []
    stock.amqp.TaskConsumer(connection, on_message=got.append).consume()
    while len(got) < 2:
        connection.drain_events(timeout=5)
    return got


def killed_stock_worker(stock: Celery, redis) -> None:
    """What a stock worker leaves that took two messages and was killed."""
    with stock.connection_for_read() as connection:
        two_of(stock, connection)
        channel: Any = connection.default_channel
        channel.qos._delivered.clear()  # so that leaving gives nothing back
    assert redis.hlen("unacked") == 2


def test_what_a_killed_stock_worker_held_is_adopted_at_once(stock, app, redis):
    for number in range(2):
        stock.send_task("add", (number, 0))
    killed_stock_worker(stock, redis)
    assert adopt(app) == 2
    assert not redis.exists("unacked", "unacked_index")
    with consuming(app) as consumer:
        consumer.drain(5, until=lambda: len(consumer.got) == 2)
        assert sorted(message.payload[0] for message in consumer.got) == [[0, 0], [1, 0]]
        assert all(message.headers["redelivered"] for message in consumer.got)


def test_our_workers_adopt_what_is_older_than_the_visibility_timeout(stock, make_app, redis):
    for number in range(2):
        stock.send_task("add", (number, 0))
    killed_stock_worker(stock, redis)
    for tag in redis.zrange("unacked_index", 0, -1):
        redis.zadd("unacked_index", {tag: 1})
    with consuming(make_app()) as consumer:
        assert len(consumer.drain(10, until=lambda: len(consumer.got) == 2)) == 2


def test_what_ours_held_and_parked_is_released_to_stock_workers(stock, app, redis):
    app.tasks["add"].delay(1, 0)
    app.tasks["add"].apply_async((2, 0), countdown=60)
    with consuming(app) as consumer:
        consumer.drain(0.5)
        intake = consumer.channel.intake
        with pytest.raises(WorkersRunning, match=intake.owner):
            release(app)
        intake.held.clear()  # as if it had been killed
        intake.keeper.stop()
        redis.zadd("celeriac.leases", {intake.owner: 1})
        assert release(app) == 2
        assert not redis.keys("celeriac.*")
    with stock.connection_for_read() as connection:
        got = two_of(stock, connection)
        assert sorted(message.payload[0] for message in got) == [[1, 0], [2, 0]]
        assert [bool(message.headers["eta"]) for message in sorted(got, key=lambda m: m.payload[0])] == [False, True]
        for message in got:
            message.ack()


@pytest.mark.parametrize("pool", forms(["lane"], ["prefork"]))
def test_a_running_worker_takes_over_what_a_stock_worker_leaves_behind(stock, make_app, redis, server, pool):
    app = make_app(result_backend=server)
    often = {"CELERY_BROKER_TRANSPORT_OPTIONS": '{"adopt_every": 1}'}
    with WorkerProcess("tests.kit.app", redis_url=server, pool=pool, concurrency=1, env=often):
        name = app.conf.task_default_queue
        stock.conf.task_default_queue = "elsewhere"
        for number in range(2):
            stock.send_task("add", (number, 0))
        killed_stock_worker(stock, redis)
        # They were the default queue's, and are older than the visibility timeout.
        for tag, held in redis.hgetall("unacked").items():
            message, exchange, _ = json.loads(held)
            redis.hset("unacked", tag, json.dumps([message, exchange, name]))
            redis.zadd("unacked_index", {tag: 1})
        results = [app.AsyncResult(json.loads(each)[0]["headers"]["id"]) for each in redis.hvals("unacked")]
        until(lambda: not redis.exists("unacked"), timeout=40)
        assert sorted(each.get(timeout=20) for each in results) == [0, 1]
