"""The wire is Celery's message protocol 2 with plain JSON: whoever speaks it is understood."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr
from tests.faults.harness.waiting import until
from tests.integration.conftest import Broker
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app

pytestmark = pytest.mark.xdist_group("wire")
WAIT = 20


def messages(broker: Broker, queue: str = "default") -> list[dict[str, Any]]:
    """All messages of a queue as they lie on Redis, first to be read first, whatever their priority."""
    keys = [queue, *(f"{queue}\x06\x16{step}" for step in (3, 6, 9))]
    raw = [each for key in keys for each in reversed(broker.redis.lrange(key, 0, -1))]
    return [json.loads(each) for each in raw]


def body_of(message: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(message["body"]))


def test_a_message_is_protocol_2_with_plain_json(alone):
    result = alone.registry.add.apply_async((2,), {"y": 3}, headers={"tenant": "acme"})
    (message,) = messages(alone)
    headers = message["headers"]
    assert (headers["lang"], headers["task"], headers["id"]) == ("py", "add", result.id)
    assert headers["root_id"] == result.id
    assert headers["parent_id"] is None
    assert headers["retries"] == 0
    assert (headers["argsrepr"], headers["kwargsrepr"]) == ("(2,)", "{'y': 3}")
    assert headers["tenant"] == "acme"
    assert message["content-type"] == "application/json"
    args, kwargs, embed = body_of(message)
    assert (args, kwargs) == ([2], {"y": 3})
    assert set(embed) == {"callbacks", "errbacks", "chain", "chord"}
    assert set(embed.values()) == {None}


def test_a_secret_travels_in_the_body_and_nowhere_else(alone):
    alone.registry.login.delay("u", password=SecretStr("geheim"))
    (message,) = messages(alone)
    assert body_of(message)[1] == {"password": "geheim"}
    assert "geheim" not in json.dumps(message["headers"])


def test_rich_values_are_plain_on_the_wire(alone):
    alone.registry.digest.delay(b"\x00\xff")
    alone.registry.record.delay(Path("a/b"), "x")
    assert [body_of(message)[0] for message in messages(alone)] == [["AP8="], ["a/b", "x"]]


@pytest.mark.proves("S000-27")
def test_a_task_goes_to_the_queue_that_it_declares(alone):
    alone.registry.urgent.delay()
    alone.registry.batch.delay()
    alone.registry.ping.delay()
    alone.registry.ping.apply_async(queue="background")
    assert [message["headers"]["task"] for message in messages(alone, "high_priority")] == ["urgent"]
    assert [message["headers"]["task"] for message in messages(alone, "background")] == ["batch", "ping"]
    assert [message["headers"]["task"] for message in messages(alone)] == ["ping"]


@pytest.mark.proves("S000-27")
def test_the_same_holds_for_those_who_send_by_name(alone):
    alone.app.send_task("batch")
    alone.app.tasks["urgent"].delay()
    assert len(messages(alone, "background")) == 1
    assert len(messages(alone, "high_priority")) == 1


@pytest.mark.proves("S000-10", "S003-1")
@pytest.mark.parametrize("pool", ["threads"], indirect=True)
def test_a_client_without_any_task_body_submits_and_reads(worker, shared):
    with client(create_celery_app(CeleryAppConfig.from_mapping({"redis_url": shared.url}))) as app:
        assert "add" not in app.tasks
        assert app.send_task("add", (2, 3)).get(timeout=WAIT) == 5


@pytest.mark.parametrize("pool", ["threads"], indirect=True)
def test_stock_celery_calls_our_tasks_and_reads_their_results(worker, shared):
    stock = Celery("stock", broker=shared.url, backend=shared.url, set_as_current=False)
    stock.conf.task_default_queue = "default"  # where stock Celery says "celery"
    with client(stock):
        assert stock.send_task("add", (2,), {"y": 3}).get(timeout=WAIT) == 5
        assert stock.send_task("ping").get(timeout=WAIT) == {"result": "pong"}
        failed = stock.send_task("fail", ("why",))
        with pytest.raises(Exception, match="why"):
            failed.get(timeout=WAIT)


def test_a_stock_worker_runs_what_our_registry_sends(alone, start):
    start("tests.kit.stock", pool="solo", queues=["default"])
    result = alone.registry.add.delay(2, y=3)
    assert result.get(timeout=WAIT) == 5


@pytest.mark.proves("S000-12", "S000-13")
def test_function_tasks_work_on_our_app_as_on_any_other(alone, start):
    start("tests.kit.functions", pool="solo")
    sent = alone.app.send_task("send_email", ["a@b.c", "Hello", "Welcome!"])
    assert sent.get(timeout=WAIT) == {"status": "sent", "to": "a@b.c"}
    processed = alone.app.send_task("process_upload", ["17"])
    assert processed.get(timeout=WAIT) == {"file_id": "17", "processed": True}


@pytest.mark.proves("S000-29")
def test_three_retries_of_a_function_task_are_four_executions_and_then_failure(alone, start, tmp_path):
    worker = start("tests.kit.functions", pool="solo")
    path = tmp_path / "executions"
    broken = alone.app.send_task("broken", [str(path)])
    with pytest.raises(OSError, match=r"^4$"):
        broken.get(timeout=WAIT)
    assert broken.state == "FAILURE"
    assert path.read_text().splitlines() == ["1", "2", "3", "4"]
    later = alone.app.send_task("broken.for_minutes")
    assert worker.wait_for(rf"broken\.for_minutes\[{later.id}\] retry: Retry in 60s", timeout=WAIT)
    later.revoke()


@pytest.mark.proves("S004-8")
def test_a_pickled_message_is_refused_and_the_worker_goes_on(alone, start, tmp_path):
    worker = start(pool="solo")
    path = tmp_path / "ran"
    with Celery("evil", broker=alone.url, set_as_current=False) as evil:
        evil.conf.update(task_serializer="pickle", task_default_queue="default")
        evil.send_task("record", (str(path), "ran"))
    assert worker.wait_for(
        r"dead letter \(malformed\): the content type '\S+python-serialize' is not accepted", timeout=WAIT
    )
    assert alone.registry.ping.delay().get(timeout=WAIT) == {"result": "pong"}
    assert not path.exists()
    assert alone.redis.zcard("celeriac.dead") == 1


@pytest.mark.proves("S000-4", "S002-9")
@pytest.mark.parametrize("pool", ["threads"], indirect=True)
def test_a_result_lies_in_redis_and_expires(registry, shared):
    result = registry.ping.delay()
    result.get(timeout=WAIT)
    key = f"celery-task-meta-{result.id}"
    stored = json.loads(shared.redis.get(key))
    assert stored["status"] == "SUCCESS"
    assert stored["result"] == {"result": "pong"}
    assert 86400 - 1 <= shared.redis.ttl(key) <= 86400
    result.forget()
    assert not shared.redis.exists(key)


@pytest.mark.parametrize("pool", ["threads"], indirect=True)
def test_a_task_that_ignores_its_result_stores_none(registry, shared):
    result = registry.batch.delay()
    registry.ping.delay().get(timeout=WAIT)
    until(lambda: shared.redis.llen("background") == 0)
    assert not shared.redis.exists(f"celery-task-meta-{result.id}")
