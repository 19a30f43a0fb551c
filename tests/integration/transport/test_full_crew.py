"""Coroutines that come while as many run as may: they wait for a place, and none is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery
from celery.worker import state
from tests.faults.harness.waiting import until
from tests.integration.transport.child import Child, child_of
from tests.kit.service import Container

from celeriac import TaskController, task
from celeriac.tasks.execution import register_task

TIMEOUT = 20


class Beside(TaskController):
    began: list[int]
    ended: list[int]
    gate: threading.Event

    @task("beside")
    async def beside(self, number: int) -> None:
        Beside.began.append(number)
        await asyncio.to_thread(Beside.gate.wait, 20)
        Beside.ended.append(number)


@pytest.fixture
def child(app: Celery, monkeypatch: pytest.MonkeyPatch) -> Generator[Child]:
    """One that runs a single coroutine at once, and lets three wait for a rate limit."""
    Beside.began, Beside.ended, Beside.gate = [], [], threading.Event()
    register_task(app, Beside.beside, Container())
    with child_of(app, monkeypatch, coroutines=1, prefetch=3) as child:
        yield child
        Beside.gate.set()


def claimed(child: Child, app: Celery, count: int) -> tuple[Any, list[Any]]:
    for number in range(count):
        app.send_task("beside", (number,))
    channel = child.connect().channel
    return channel, channel.claim(count)


def test_a_claim_that_brings_more_than_asked_for_is_run_in_order(app, child):
    channel, messages = claimed(child, app, 3)
    for message in messages:
        child.runner.handle(message)
    assert child.runner.crew.room == 0
    until(lambda: Beside.began == [0])
    assert child.slot.running == 1
    Beside.gate.set()
    until(lambda: Beside.ended == [0, 1, 2])
    child.runner.crew.join()
    assert child.runner.crew.room == 1
    channel.flush()
    assert channel.intake.broker.held(channel.owner, ()) == []


def test_what_waits_for_a_place_counts_as_taken(app, child):
    _, messages = claimed(child, app, 2)
    crew = child.runner.crew
    for message in messages:
        child.runner.handle(message)
    assert crew.room == 0
    crew.give_back()
    Beside.gate.set()
    until(lambda: crew.room == 1)


def test_a_rate_limit_that_lets_one_go_while_the_crew_is_full_forgets_none(app, child):
    app.tasks["beside"].rate_limit = "5/s"
    child.desk.reset_rate_limits()
    for number in range(5):
        app.send_task("beside", (number,))
    Beside.gate.set()
    guard = threading.Timer(TIMEOUT, child.duty.stop)
    guard.start()

    def look() -> None:
        until(lambda: Beside.ended)
        Beside.gate.clear()  # the others were claimed meanwhile, and wait for the rate
        time.sleep(0.7)
        Beside.gate.set()
        until(lambda: len(Beside.ended) == 5)
        child.duty.stop()

    with ThreadPoolExecutor(1) as beside:
        looking = beside.submit(look)
        child.connect().run()
        guard.cancel()
        looking.result()
    assert Beside.ended == [0, 1, 2, 3, 4]


def test_what_waits_for_a_place_goes_back_when_the_child_ends(app, child):
    channel, messages = claimed(child, app, 3)
    for message in messages:
        child.runner.handle(message)
    until(lambda: Beside.began == [0])
    child.runner.crew.close()
    assert [message.payload[0][0] for message in channel.claim(5)] == [1, 2]
    Beside.gate.set()
    child.runner.crew.join()
    assert Beside.ended == [0]


def test_what_is_revoked_while_it_waits_for_a_place_does_not_run(app, child):
    _, messages = claimed(child, app, 3)
    for message in messages:
        child.runner.handle(message)
    revoked = messages[1].headers["id"]
    state.revoked.add(revoked)
    try:
        Beside.gate.set()
        until(lambda: len(Beside.ended) == 2)
        child.runner.crew.join()
    finally:
        state.revoked.discard(revoked)
    assert Beside.ended == [0, 2]


def test_a_thread_that_cannot_be_started_costs_no_place(app, child, monkeypatch):
    channel, (message,) = claimed(child, app, 1)
    usual: Any = ThreadPoolExecutor._adjust_thread_count

    def full(_: Any) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", full)
    child.runner.handle(message)
    monkeypatch.setattr(ThreadPoolExecutor, "_adjust_thread_count", usual)
    crew = child.runner.crew
    assert child.slot.running == 0
    assert crew.running() == []
    assert crew.room == 0, "what went back would be claimed again at once"
    until(lambda: crew.room == 1)
    Beside.gate.set()
    (again,) = channel.claim(5)
    assert again.delivery_info["deliveries"] == 0
    child.runner.handle(again)
    crew.join()
    assert Beside.ended == [0]
