"""kombu's channel over leases: what a consumer sees, and what is left on the server."""

from __future__ import annotations

import base64
import json
import time
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.integration.transport.consumer import consuming

from celeriac import Priority

pytestmark = pytest.mark.xdist_group("transport")


def settled(redis) -> bool:
    deadline = time.monotonic() + 5
    while redis.keys("celeriac.inflight*"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def push(redis, raw, queue: str = "default") -> None:
    redis.lpush(queue, raw if isinstance(raw, bytes | str) else json.dumps(raw))


def test_what_is_acknowledged_is_gone_within_moments_without_another_claim(app, redis):
    app.tasks["add"].delay(1, 2)
    with consuming(app) as consumer:
        message = consumer.one()
        assert message.headers["task"] == "add"
        assert redis.keys("celeriac.inflight*")
        message.ack()
        assert settled(redis)


def test_what_was_not_acknowledged_goes_back_uncounted_when_the_consumer_leaves(app, redis):
    for number in range(3):
        app.tasks["add"].delay(number, 0)
    with consuming(app) as consumer:
        consumer.drain(5, until=lambda: len(consumer.got) == 3)
        consumer.got[0].ack()
    with consuming(app) as consumer:
        consumer.drain(5, until=lambda: len(consumer.got) == 2)
        assert [message.payload[0] for message in consumer.got] == [[1, 0], [2, 0]]
        assert not consumer.got[0].delivery_info.get("redelivered")


def test_a_message_that_is_requeued_counts_its_deliveries_and_is_dead_in_the_end(make_app, redis):
    app = make_app(task_max_deliveries=2)
    result = app.tasks["add"].delay(1, 2)
    with consuming(app) as consumer:
        for expected in (0, 1):
            message = consumer.one()
            assert message.delivery_info["deliveries"] == expected
            assert bool(message.delivery_info.get("redelivered")) is bool(expected)
            message.requeue()
        assert len(consumer.drain(0.5)) == 2
    (key,) = redis.keys("celeriac.dead:*")
    letter = redis.hgetall(key)
    assert (letter[b"reason"], letter[b"deliveries"], letter[b"task"]) == (b"too-many-deliveries", b"2", b"add")
    assert letter[b"task_id"].decode() == result.id
    assert not redis.exists("celeriac.deliveries")


def test_a_rejected_message_is_a_dead_letter(app, redis):
    app.tasks["add"].delay(1, 2)
    with consuming(app) as consumer:
        consumer.one().reject()
    (key,) = redis.keys("celeriac.dead:*")
    assert redis.hget(key, "reason") == b"rejected"
    assert redis.llen("default") == 0


def test_prefetch_bounds_what_is_held(app, redis):
    for number in range(10):
        app.tasks["add"].delay(number, 0)
    with consuming(app) as consumer:
        consumer.consumer.qos(prefetch_count=4)
        assert len(consumer.drain(0.5)) == 4
        consumer.got[0].ack()
        assert len(consumer.drain(0.5)) == 5


@pytest.mark.proves("S000-3")
def test_urgent_messages_come_first_whichever_was_sent_first(app, redis):
    for priority in (Priority.LOW, Priority.NORMAL, Priority.CRITICAL, Priority.HIGH):
        app.tasks["add"].apply_async((priority.value, 0), priority=priority.on("redis"))
    with consuming(app) as consumer:
        consumer.drain(5, until=lambda: len(consumer.got) == 4)
        assert [message.payload[0][0] for message in consumer.got] == [9, 6, 3, 0]


def test_several_queues_take_turns(make_app, redis):
    app = make_app(task_queues={"a": {}, "b": {}})
    for queue in ("a", "b"):
        for number in range(4):
            app.tasks["add"].apply_async((number, 0), queue=queue)
    with consuming(app) as consumer:
        consumer.consumer.qos(prefetch_count=1)
        order = []
        for _ in range(4):
            message = consumer.one()
            order.append(message.delivery_info["routing_key"])
            message.ack()
        assert set(order) == {"a", "b"}


def test_a_cancelled_queue_is_read_no_more(make_app, redis):
    app = make_app(task_queues={"a": {}})
    with consuming(app) as consumer:
        consumer.consumer.cancel_by_queue("a")
        app.tasks["add"].apply_async((1, 0), queue="a")
        app.tasks["add"].apply_async((2, 0))
        assert [message.payload[0] for message in consumer.drain(0.5)] == [[2, 0]]


def test_a_message_with_a_time_waits_on_the_server(app, redis):
    app.tasks["add"].apply_async((1, 2), countdown=0.7)
    sent = time.monotonic()
    with consuming(app) as consumer:
        assert consumer.drain(0.3) == []
        assert redis.zcard("celeriac.delayed") == 1
        assert not redis.keys("celeriac.inflight*")
        message = consumer.one()
        assert time.monotonic() - sent >= 0.6
        assert message.headers["eta"] is None
        message.ack()
    assert not redis.exists("celeriac.delayed", "celeriac.delayed.messages")


def test_a_message_parked_by_a_consumer_that_left_comes_to_another(app, redis):
    app.tasks["add"].apply_async((1, 2), countdown=0.5)
    with consuming(app) as consumer:
        consumer.drain(0.2)
    assert redis.zcard("celeriac.delayed") == 1
    with consuming(app) as consumer:
        assert consumer.one().payload[0] == [1, 2]


def test_keys_stand_behind_the_prefix(make_app, redis):
    app = make_app(broker_transport_options={"global_keyprefix": "mine:"})
    app.tasks["add"].delay(1, 2)
    app.tasks["add"].apply_async((3, 4), countdown=60)
    with consuming(app) as consumer:
        assert consumer.one().payload[0] == [1, 2]
        consumer.drain(0.3)
        assert all(key.startswith(b"mine:") for key in redis.keys("*") if not key.startswith(b"celery-task-meta"))


def test_a_plain_push_of_another_producer_wakes_a_consumer(app, redis):
    with consuming(app) as consumer:
        consumer.drain(0.2)
        push(redis, envelope(), "default")
        began = time.monotonic()
        consumer.one()
        assert time.monotonic() - began < 5


def test_a_connection_that_is_cut_loses_and_doubles_nothing(app, redis):
    for number in range(5):
        app.tasks["add"].delay(number, 0)
    with consuming(app) as consumer:
        consumer.drain(5, until=lambda: len(consumer.got) == 5)
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        for message in consumer.got:
            message.ack()
        app.tasks["add"].delay(5, 0)
        message = consumer.one()
        assert message.payload[0] == [5, 0]
        message.ack()
        assert settled(redis)
    assert redis.llen("default\x06\x166") == 0


def test_a_reply_that_was_lost_is_delivered_after_all(app, redis):
    with consuming(app) as consumer:
        consumer.drain(0.2)
        intake = consumer.channel.intake
        app.tasks["add"].delay(1, 2)
        # What the server saw of a claim whose answer never came.
        intake.broker.claim(intake.owner, ["default\x06\x166"], 1, first_token=intake._next_token)
        intake._in_doubt = True
        intake.stale = True
        assert consumer.one().payload[0] == [1, 2]


def test_the_lease_is_renewed_while_nobody_claims(make_app, redis):
    app = make_app(broker_lease=1.2)
    app.tasks["add"].delay(1, 2)
    with consuming(app) as consumer:
        consumer.one()
        time.sleep(3)
        assert redis.keys("celeriac.inflight*")
        assert redis.llen("default\x06\x166") == 0


def test_a_channel_that_takes_the_place_of_a_broken_one_settles_what_the_first_claimed(app, redis):
    app.tasks["add"].delay(1, 2)
    with app.connection_for_read() as first, app.connection_for_read() as second:
        from tests.integration.transport.consumer import Consumer

        one, other = Consumer(app, first), Consumer(app, second)
        assert one.channel.intake is other.channel.intake
        message = one.one()
        message.ack()
        assert settled(redis)


def envelope(headers=None, body=None, **outer):
    said = {"task": "add", "id": "4f3c", "retries": 0, "root_id": "4f3c", "parent_id": None, "lang": "py"}
    properties = {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "default"}}
    plain = json.dumps([[1, 2], {}, {}] if body is None else body).encode()
    message = {
        "body": base64.b64encode(plain).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {**said, **(headers or {})},
        "properties": {**properties, "body_encoding": "base64"},
    }
    return {**message, **outer}


def without(message, *path):
    part = message
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return message


def inflating() -> Any:
    bomb = base64.b64encode(zlib.compress(bytes(80_000_000), 9)).decode()
    return envelope({"compression": "application/x-gzip"}) | {"body": bomb}


MALFORMED = {
    "empty": b"",
    "not JSON": b"hello",
    "binary": bytes(range(256)),
    "a list": [],
    "null": b"null",
    "a number": b"7",
    "a text": b'"text"',
    "nested deeply": b"[" * 50_000 + b"]" * 50_000,
    "a body that is no base64": envelope(body=None) | {"body": "$$$"},
    "a body that is a table": envelope() | {"body": {}},
    "no body": without(envelope(), "body"),
    "an unknown body encoding": {**envelope(), "properties": {"body_encoding": "rot13"}},
    "arguments too few": envelope(body=[[1, 2]]),
    "arguments as a table": envelope(body={"args": [1]}),
    "arguments that are a text": envelope(body=["ab", {}, {}]),
    "named arguments that are a list": envelope(body=[[], [], {}]),
    "something else embedded": envelope(body=[[], {}, "x"]),
    "callbacks that are a text": envelope(body=[[], {}, {"callbacks": "x"}]),
    "a chain of texts": envelope(body=[[], {}, {"chain": ["x"]}]),
    "a body that is not JSON": envelope() | {"body": base64.b64encode(b"{").decode()},
    "a body nested deeply": envelope() | {"body": base64.b64encode(b"[" * 50_000).decode()},
    "an id that is a table": envelope({"id": {}}),
    "no id": without(envelope(), "headers", "id"),
    "a task that is a list": envelope({"task": ["add"]}),
    "an empty task": envelope({"task": ""}),
    "limits that are a text": envelope({"timelimit": "xx"}),
    "one limit": envelope({"timelimit": [1]}),
    "limits that are texts": envelope({"timelimit": ["1", "2"]}),
    "an eta that is no time": envelope({"eta": "tomorrow"}),
    "an expiry that is no time": envelope({"expires": "never"}),
    "an eta that is a list": envelope({"eta": []}),
    "retries that are a text": envelope({"retries": "x"}),
    "pickle": envelope() | {"content-type": "application/x-python-serialize", "content-encoding": "binary"},
    "an unknown content type": envelope() | {"content-type": "application/x-unknown"},
    "a content type that is a list": envelope() | {"content-type": []},
    "an unknown content encoding": envelope() | {"content-encoding": "klingon"},
    "an unknown compression": envelope({"compression": "zip"}),
    "a compression that is none": envelope({"compression": "application/x-gzip"}),
    "a body that inflates without end": inflating(),
    "headers that are a list": envelope() | {"headers": []},
    "properties that are a text": envelope() | {"properties": "x"},
    "delivery information that is a list": envelope() | {"properties": {"delivery_info": []}},
    "no headers, and a body that is no table": without(envelope(), "headers"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_message_that_cannot_be_read_is_a_dead_letter_and_the_next_one_is_delivered(app, redis, name):
    push(redis, MALFORMED[name])
    push(redis, envelope(body=[[7, 7], {}, {}]))
    with consuming(app) as consumer:
        assert consumer.one().payload[0] == [7, 7]
    (key,) = redis.keys("celeriac.dead:*")
    letter = redis.hgetall(key)
    assert letter[b"reason"] == b"malformed"
    assert len(letter[b"detail"]) > 10
    assert letter[b"key"] == b"default"


LENIENT = {
    "no properties": without(envelope(), "properties") | {"body": json.dumps([[7, 7], {}, {}])},
    "no delivery information": without(envelope(body=[[7, 7], {}, {}]), "properties", "delivery_info"),
    "protocol 1": {
        **envelope(body={"task": "add", "id": "x", "args": [7, 7], "kwargs": {}}),
        "headers": {},
    },
    "an unknown header": envelope({"x-mine": {"deep": [1]}}, [[7, 7], {}, {}]),
    "a priority of another kind": envelope(body=[[7, 7], {}, {}])
    | {"properties": {"priority": "high", "body_encoding": "base64"}},
    "compressed": envelope({"compression": "application/x-gzip"})
    | {"body": base64.b64encode(zlib.compress(b"[[7, 7], {}, {}]")).decode()},
}


@pytest.mark.parametrize("name", LENIENT)
def test_a_message_that_lacks_only_what_is_not_needed_is_delivered(app, redis, name):
    push(redis, LENIENT[name])
    with consuming(app) as consumer:
        payload = consumer.one().payload
        assert (payload["args"] if isinstance(payload, dict) else payload[0]) == [7, 7]
    assert not redis.keys("celeriac.dead*")


def test_an_expiry_is_told_in_the_time_of_the_worker_whose_clock_is_wrong(app, redis):
    expires = datetime.now(UTC) + timedelta(hours=1)
    push(redis, envelope({"expires": expires.isoformat()}))
    with consuming(app) as consumer:
        channel = consumer.channel
        message = consumer.one()
        assert message.headers["expires"] == expires.isoformat()
        envelope_of: Any = type(
            "E", (), {"eta": None, "expires": expires.timestamp(), "headers": dict(message.headers)}
        )
        channel.intake.clock_offset = -7200  # this machine is two hours ahead of the server
        channel._translate(envelope_of)
        seen = datetime.fromisoformat(envelope_of.headers["expires"])
        assert seen - expires == pytest.approx(timedelta(hours=2), abs=timedelta(seconds=2))
