"""Chords over a result server that goes away at the worst moments."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import _state, chord, group
from celery.app.task import Context
from celery.app.trace import build_tracer
from celery.exceptions import ChordError, Reject
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.transport.results import celerys, chords
from celeriac.transport.results import writer as results

pytestmark = pytest.mark.xdist_group("results")


def double(number: int) -> int:
    if number < 0:
        raise ValueError(number)
    return 2 * number


def total(numbers: list[Any]) -> int:
    return sum(total(each) if isinstance(each, list) else each for each in numbers)


@contextmanager
def app_on(broker: str, backend: str, **options: Any) -> Generator[Any]:
    table = {"broker_url": broker, "result_backend": backend, "task_default_queue": QUEUE, **options}
    app: Any = create_celery_app(CeleryAppConfig.from_mapping(table))

    app.task(name="double")(double)
    app.task(name="total")(total)
    try:
        yield app
    finally:
        app.close()


@pytest.fixture
def app(server, proxy) -> Generator[Any]:
    """Its broker cannot break; its results go through the proxy."""
    with app_on(server.url, proxy.url()) as app:
        yield app


QUEUE = "parts"


def queue_of(server: PrivateRedis) -> Any:
    """The one list that holds something: of the queue's priorities, or of where Celery sends without a current app."""
    return next(iter([*server.client.keys(f"{QUEUE}*"), *server.client.keys("celery")]), QUEUE)


def queued(server: PrivateRedis) -> list[dict[str, Any]]:
    messages: Any = server.client.lrange(queue_of(server), 0, -1)
    return [json.loads(raw) for raw in messages]


def take(server: PrivateRedis, count: int) -> list[dict[str, Any]]:
    """Take messages, as a worker would, and give their headers with the arguments."""
    found = []
    for _ in range(count):
        message = json.loads(server.client.rpop(queue_of(server)))
        args, kwargs, embed = json.loads(base64.b64decode(message["body"]))
        found.append({**message["headers"], **embed, "args": args, "kwargs": kwargs})
    return found


def run(app: Any, request: dict[str, Any]) -> Any:
    """As a worker does, but for the message."""
    task = app.tasks[request["task"]]
    trace: Any = build_tracer(task.name, task, app=app)
    given = {**request, "called_directly": False, "delivery_info": {}}
    return trace(request["id"], request["args"], request["kwargs"], given)


def test_our_script_is_celerys_but_for_whose_claim_it_is():
    assert chords.PART_RETURN != celerys.PART_RETURN
    assert chords.PART_RETURN.count("claim_token") == celerys.PART_RETURN.count("claim_token") + 1


@pytest.mark.parametrize("together", [True, False], ids=["coalescing", "at once"])
def test_a_chord_calls_back_once_with_everything(server, app, together):
    """A header of a task and of a chain that ends in a group: the last part has to read what the others stored."""
    one = app.tasks["double"]
    result = chord([one.s(1), one.s(2) | group(one.s(), one.s())])(app.tasks["total"].s())
    results.coalesce(on=together)
    try:
        bodies = []
        while queued(server):
            (message,) = take(server, 1)
            if message["task"] == "total":
                bodies.append(message)
            run(app, message)
        assert [body["args"] for body in bodies] == [[[2, [8, 8]]]]
        results.flush()
        assert result.get(timeout=10) == 18
    finally:
        results.coalesce(on=False)


def test_a_part_that_fails_fails_the_chord(server, app):
    result = chord([app.tasks["double"].s(1), app.tasks["double"].s(-1)])(app.tasks["total"].s())
    for part in take(server, 2):
        run(app, part)
    assert not queued(server)
    with pytest.raises(ChordError, match="ValueError"):
        app.AsyncResult(result.id).get(timeout=10)


@pytest.mark.parametrize("fault", ["refuse", "blackhole", "kill"])
def test_a_part_waits_for_a_server_that_is_away(server, proxy, app, fault, tmp_path):
    with PrivateRedis(tmp_path / "apart") as apart, TcpProxy(apart.port) as way, app_on(server.url, way.url()) as other:
        result = chord([other.tasks["double"].s(1), other.tasks["double"].s(2)])(other.tasks["total"].s())
        first, last = take(server, 2)
        run(other, first)
        apart.kill() if fault == "kill" else getattr(way, fault)()
        ended = threading.Event()
        outcome: list[Any] = []

        def work() -> None:
            outcome.append(run(other, last))
            ended.set()

        thread = threading.Thread(target=work)
        thread.start()
        assert not ended.wait(1.5)
        assert not queued(server)
        apart.start() if fault == "kill" else way.mend()
        assert ended.wait(20)
        thread.join()
        (body,) = take(server, 1)
        assert body["args"] == [[2, 4]]
        run(other, body)
        assert result.get(timeout=10) == 6
        assert not queued(server)


@contextmanager
def inside(app: Any, part: dict[str, Any]) -> Generator[Context]:
    """What runs here runs inside of this task."""
    stack: Any = vars(_state)["_task_stack"]
    task = app.tasks[part["task"]]
    request = Context(part, called_directly=False)
    task.request_stack.push(request)
    stack.push(task)
    try:
        yield request
    finally:
        stack.pop()
        task.request_stack.pop()


@pytest.mark.parametrize("cut", [1, 10])
def test_an_answer_that_was_lost_does_not_lose_the_callback(server, proxy, app, cut):
    chord([app.tasks["double"].s(1)] * 2)(app.tasks["total"].s())
    first, last = take(server, 2)
    run(app, first)
    with inside(app, last) as request:
        app.backend.store_result(last["id"], 2, "SUCCESS", request=request)
        app.backend.client.ping()
        proxy.cut_after(cut)
        app.backend.on_chord_part_return(request, "SUCCESS", 2)
    assert [message["headers"]["task"] for message in queued(server)] == ["total"]


def test_where_a_limit_is_set_the_part_is_given_back_and_counts_once(server, proxy):
    options = {"result_backend_transport_options": {"store_timeout": 0.5}}
    with app_on(server.url, proxy.url(), **options) as app:
        result = chord([app.tasks["double"].s(1)] * 2)(app.tasks["total"].s())
        first, last = take(server, 2)
        run(app, first)
        with inside(app, last) as request:
            app.backend.client.ping()
            proxy.refuse()
            with pytest.raises(Reject) as rejected:
                app.backend.on_chord_part_return(request, "SUCCESS", 2)
        assert vars(rejected.value)["requeue"]
        proxy.mend()
        until(lambda: app.backend.writer.drain(5))
        run(app, last)
        run(app, last)
        (body,) = take(server, 1)
        run(app, body)
        assert result.get(timeout=10) == 4
        assert not queued(server)
