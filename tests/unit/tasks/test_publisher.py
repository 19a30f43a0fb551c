"""What goes on the wire, and what happens when there is no wire."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from tests.kit.service import Container, Registry

from celeriac import CeleryPublisher, Limits, Priority, TaskResult, create_celery_app
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import BrokerUnavailable, ResultUnavailable, UnknownQueue
from celeriac.tasks.call import Call

BUDGET = 5.0
"""Seconds within which a server that is not there must be an error."""


@contextmanager
def registry_on(url):
    results = url if url.startswith("redis") else "redis://127.0.0.1:1/0"
    app = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": url, "result_backend": results}))
    Registry.install(app, Container())
    try:
        yield Registry(CeleryPublisher(app))
    finally:
        app.close()


@pytest.fixture
def nobody() -> int:
    """A port that refuses."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def black_hole():
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_a_server_that_refuses_is_an_error_within_the_budget(nobody):
    with registry_on(f"redis://:geheim@127.0.0.1:{nobody}/0") as registry:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable) as refused:
            registry.ping.delay()
        assert time.monotonic() - started < BUDGET
    error = refused.value
    assert str(error) == (
        f"ping was not sent: redis://:**@127.0.0.1:{nobody}/0 did not take it within {error.seconds:.1f} s"
        f" ({error.reason})"
    )
    assert "refused" in error.reason.lower()
    assert "geheim" not in str(error)
    assert isinstance(error, ConnectionError)


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_server_that_never_answers_is_an_error_within_the_budget(black_hole, scheme):
    with registry_on(f"{scheme}://u:geheim@127.0.0.1:{black_hole}/0") as registry:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable) as refused:
            registry.ping.delay()
        assert time.monotonic() - started < BUDGET
    assert "geheim" not in str(refused.value)


def test_a_workflow_on_a_server_that_refuses_is_the_same_error(nobody):
    text = r"^fetch_data \| process_data was not sent: "
    with registry_on(f"redis://127.0.0.1:{nobody}/0") as registry, pytest.raises(BrokerUnavailable, match=text):
        registry.fetch_data.s("u").then(registry.process_data).delay()


def test_a_coroutine_gets_the_same_error_while_its_loop_goes_on(black_hole):
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)

    async def main(registry):
        ticking = asyncio.create_task(tick())
        with pytest.raises(BrokerUnavailable):
            await registry.ping.adelay()
        ticking.cancel()

    with registry_on(f"redis://127.0.0.1:{black_hole}/0") as registry:
        asyncio.run(main(registry))
    assert len(ticks) > 10


def test_a_result_backend_that_refuses_is_an_error_that_says_which(nobody):
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": f"redis://:geheim@127.0.0.1:{nobody}/0"}))
    result = TaskResult("ping", app.AsyncResult("7"), str)
    started = time.monotonic()
    with pytest.raises(ResultUnavailable) as refused:
        _ = result.state
    assert time.monotonic() - started < BUDGET
    assert str(refused.value).startswith(f"the result of ping[7] cannot be read: redis://:**@127.0.0.1:{nobody}/0")
    assert "geheim" not in str(refused.value)


def test_a_queue_that_nobody_reads_is_refused_before_anything_is_sent(nobody):
    with registry_on(f"redis://127.0.0.1:{nobody}/0") as registry, pytest.raises(UnknownQueue) as refused:
        registry.ping.apply_async(queue="defautl")
    assert str(refused.value) == (
        "no queue is named 'defautl'; declared are background, default, high_priority, parcels."
        " Did you mean 'default'? Add it to CELERY_TASK_QUEUES if it is meant"
    )


def test_the_options_of_a_call_are_celerys():
    eta = datetime(2026, 1, 1, tzinfo=UTC)
    call = Call(
        "ping",
        [],
        {},
        {
            "countdown": timedelta(minutes=1),
            "expires": timedelta(hours=1),
            "eta": eta,
            "priority": Priority.CRITICAL,
            "limits": Limits(soft=1, hard=2),
            "headers": {"tenant": "acme"},
            "task_id": "7",
        },
        ("(**)", "{}"),
    )
    assert call.celery_options("redis") == {
        "countdown": 60,
        "expires": 3600,
        "eta": eta,
        "priority": 0,
        "soft_time_limit": 1,
        "time_limit": 2,
        "headers": {"tenant": "acme"},
        "task_id": "7",
        "argsrepr": "(**)",
        "kwargsrepr": "{}",
    }
    assert call.celery_options("amqp")["priority"] == 9


def test_a_call_with_a_secret_masks_what_people_see():
    from celeriac.testing.recording import RecordingPublisher

    publisher = RecordingPublisher()
    Registry(publisher).login.delay("u", password=SecretStr("geheim"))
    (call,) = publisher.calls
    assert call.kwargs == {"password": "geheim"}
    assert call.masked == ("('u',)", "{'password': SecretStr('**********')}")
