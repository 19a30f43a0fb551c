"""What breaks around RabbitMQ: messages that are none, tasks that take long, connections that say nothing any more."""

from __future__ import annotations

import base64
import json
import random
import re
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from amqp import Message
from kombu.exceptions import OperationalError
from tests.faults.harness.malformed import broken
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on

from celeriac.exceptions import BrokerUnavailable, UnsafeBroker
from celeriac.history.deadletters import DeadLetters
from celeriac.testing.servers import rabbitmq_server
from celeriac.transport.rabbitmq.check import check_rabbitmq

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180)]
WAIT = 30
FRAGILE = "tests.kit.fragile"


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with rabbit_on(virtual_host, second_url) as rabbit:
        yield rabbit


def template(app: Any) -> bytes:
    """A good message, as it would lie in a list on Redis."""
    made = app.amqp.as_task_v2("00000000-0000-4000-8000-000000000000", "fragile.fine", (), {})
    body = base64.b64encode(json.dumps(made.body).encode()).decode()
    properties = {"body_encoding": "base64", "delivery_tag": "x", "delivery_info": {}, "priority": 0}
    parts = {"body": body, "headers": made.headers, "properties": properties}
    return json.dumps({**parts, "content-type": "application/json", "content-encoding": "utf-8"}).encode()


def as_amqp(raw: bytes) -> Message:
    """The same breakage, as far as AMQP can carry it: what it cannot, is the body of a message without headers."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return Message(raw, content_type="application/json")
    if not isinstance(said, dict):
        return Message(raw, content_type="application/json")
    body = said.get("body", "")
    try:
        plain = base64.b64decode(body, validate=True) if isinstance(body, str) else json.dumps(body).encode()
    except ValueError:
        plain = body.encode()
    properties = {"content_type": said["content-type"], "content_encoding": said["content-encoding"]}
    return Message(plain, application_headers=said.get("headers") or {}, **properties)


def flipped(app: Any, number: int) -> Iterator[Message]:
    """Good messages with some bytes of the body changed."""
    chance = random.Random(7)  # noqa: S311  the same at every run
    good: Any = as_amqp(template(app))
    for _ in range(number):
        body = bytearray(good.body)
        for _ in range(chance.randrange(1, 5)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        yield Message(bytes(body), **good.properties)


@pytest.mark.parametrize("pool", ["lane", "prefork", "threads", "solo"])
def test_what_is_no_message_is_a_dead_letter_and_disturbs_nobody(rabbit, pool):
    worker = rabbit.start(FRAGILE, pool=pool, concurrency=2)
    app = rabbit.client().app
    messages = [as_amqp(raw) for _, raw in broken(template(app))]
    messages += flipped(app, 100)
    with rabbit.channel() as channel:
        for message in messages:
            channel.basic_publish(message, routing_key=rabbit.queue)
    good = [app.send_task("fragile.fine") for _ in range(5)]
    assert [each.get(timeout=WAIT) for each in good] == ["fine"] * 5
    letters = until(lambda: _settled(rabbit, app), timeout=60)
    # What AMQP has in other places is not broken there: properties, and times that are far away.
    assert sum(letter.reason == "malformed" for letter in letters) > 100
    assert all(letter.detail and letter.queue == rabbit.queue for letter in letters)
    assert worker.returncode is None
    assert not re.search("connection to broker lost|Trying to re-establish|out of reach", worker.log, re.IGNORECASE)
    assert worker.stop() == 0


def _settled(rabbit: Rabbit, app: Any) -> Any:
    letters = DeadLetters(app).list(limit=1000).letters
    return letters if rabbit.depth() == 0 and len(letters) == rabbit.depth("celeriac.dead") else None


@pytest.mark.parametrize("pool", ["lane", "solo"])
def test_a_task_that_blocks_its_worker_for_longer_than_heartbeats_may_fail_runs_once(rabbit, pool, tmp_path):
    path = tmp_path / "ran"
    worker = rabbit.start(FRAGILE, pool=pool, concurrency=1, env={"CELERY_BROKER_HEARTBEAT": "2"})
    app = rabbit.client().app
    assert app.send_task("fragile.slow", (str(path), 8)).get(timeout=WAIT) == "slow"
    assert app.send_task("fragile.fine").get(timeout=WAIT) == "fine"
    assert path.read_text().split() == ["ran"]
    assert "heartbeat" not in worker.log.lower().replace("broker_heartbeat", "")
    until(lambda: rabbit.depth() == 0)


@pytest.fixture
def proxy(rabbit: Rabbit) -> Generator[TcpProxy]:
    with TcpProxy(urlsplit(rabbit.url).port or 5672) as proxy:
        direct = urlsplit(rabbit.url)
        rabbit.url = direct._replace(netloc=f"{direct.username}:{direct.password}@127.0.0.1:{proxy.port}").geturl()
        yield proxy


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "half_open"])
def test_a_publish_ends_within_its_budget_whatever_the_network_does(rabbit, proxy, fault):
    client = rabbit.client(publish_timeout=1.5)
    ping = client.registry.ping
    ping.delay()
    getattr(proxy, fault)()
    started = time.monotonic()
    with suppress(BrokerUnavailable):
        ping.delay()
    assert time.monotonic() - started < 5
    proxy.mend()
    until(lambda: _sent(ping), timeout=20)


def _sent(ping: Any) -> bool:
    try:
        ping.delay()
    except BrokerUnavailable:
        return False
    return True


@pytest.mark.parametrize("pool", ["lane", "prefork"])
def test_a_worker_gives_up_a_connection_that_says_nothing_any_more(rabbit, proxy, pool):
    worker = rabbit.start(FRAGILE, pool=pool, concurrency=1, env={"CELERY_BROKER_HEARTBEAT": "2"})
    app = rabbit.client().app
    assert app.send_task("fragile.fine").get(timeout=WAIT) == "fine"
    proxy.half_open()
    started = time.monotonic()
    result = until(lambda: _send_fine(app), timeout=30)
    assert result.get(timeout=30) == "fine"
    assert time.monotonic() - started < 30
    assert worker.returncode is None


def _send_fine(app: Any) -> Any:
    try:
        return app.send_task("fragile.fine")
    except OperationalError:
        return None


def test_production_refuses_what_can_lose_tasks(rabbit):
    classic = rabbit.client(task_default_queue_type="classic", task_default_queue=f"{rabbit.queue}-classic").app
    with pytest.raises(UnsafeBroker, match="is a classic queue"):
        check_rabbitmq(classic)
    unconfirmed = rabbit.client(broker_transport_options={"confirm_publish": False}).app
    with pytest.raises(UnsafeBroker, match="without being confirmed"):
        check_rabbitmq(unconfirmed)
    forgetful = rabbit.client(task_default_delivery_mode=1).app
    with pytest.raises(UnsafeBroker, match="in memory alone"):
        check_rabbitmq(forgetful)
    with rabbit.channel() as channel:
        channel.queue_declare(f"{rabbit.queue}-old", durable=True, auto_delete=False)
    with pytest.raises(UnsafeBroker, match="exists on RabbitMQ"):
        check_rabbitmq(rabbit.client(task_default_queue=f"{rabbit.queue}-old").app)


def test_a_queue_that_is_classic_on_purpose_is_taken(rabbit):
    queues = {f"{rabbit.queue}-urgent": {"queue_arguments": {"x-queue-type": "classic"}}}
    assert not [problem for problem in check_rabbitmq(rabbit.client(task_queues=queues).app) if problem.loses]
