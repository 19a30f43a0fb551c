"""The threads pool after its connection was lost: what went back with it does not run here as well."""

from __future__ import annotations

import threading
from typing import Any

from celery import _state
from celery.worker.request import Request
from tests.faults.harness.waiting import until
from tests.integration.transport.consumer import consuming

from celeriac.worker.resident.threads import ThreadsPool


def test_what_went_back_with_the_connection_runs_once(app, monkeypatch):
    monkeypatch.setattr(_state, "default_app", app)  # Celery's tracer looks there in a new thread
    ran, gate = list[int](), threading.Event()

    def run(number: int) -> None:
        ran.append(number)
        gate.wait(20)

    gated: Any = app.task(name="gated")(run)
    pool = ThreadsPool(1, app=app)

    def handle(message) -> None:
        Request(message, app=app, task=gated, body=message.body, headers=message.headers).execute_using_pool(pool)

    for number in range(3):
        gated.delay(number)
    with consuming(app) as consumer:
        for message in consumer.channel.claim(3):
            handle(message)
        until(lambda: ran == [0])
    pool.flush()  # as Celery does, once the connection is closed
    with consuming(app) as consumer:
        messages = consumer.channel.claim(3)
        assert [message.payload[0][0] for message in messages] == [1, 2]
        for message in messages:
            handle(message)
        gate.set()
        until(lambda: len(ran) >= 3 and not pool._watch.runs and pool._hands._jobs.empty())
    assert ran == [0, 1, 2]
    pool.on_stop()
