"""M1: what is no message, straight into the queue: a dead letter or a clear failure, and nobody is disturbed."""

from __future__ import annotations

import re

import pytest
from tests.faults.harness.census import Census, dead_letters
from tests.faults.harness.forms import forms
from tests.faults.harness.malformed import MALFORMED, broken, flipped
from tests.faults.harness.seed import times
from tests.faults.harness.waiting import happens_within, until

GOOD = 5
QUEUE = "default\x06\x166"


@pytest.fixture
def template(server, producer):
    """A good message, as it lies in the queue. It is taken out again."""
    producer.send(1, "work", 0.0)
    message = server.client.rpop(QUEUE)
    assert message is not None
    return message


def reconnects(worker) -> int:
    return len(re.findall(r"[Cc]onnection to broker lost|Trying to re-establish|Connection to the broker", worker.log))


def pushed(server, messages):
    with server.client.pipeline(transaction=False) as pipeline:
        for message in messages:
            pipeline.lpush(QUEUE, message)
        pipeline.execute()


def test_there_are_thirty_eight_of_them():
    assert len(MALFORMED) == 38


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_malformed_envelopes_are_buried_and_disturb_nobody(scenario, server, producer, template, pool):
    worker = scenario.running(server.url, pool=pool, concurrency=2)
    main, children = worker.pid, {child.pid for child in worker.family()}
    pushed(server, [message for _, message in broken(template)])
    good = producer.send(GOOD)
    until(lambda: set(good) <= set(scenario.ledger.counts("done")), timeout=30, what="the good tasks")
    until(lambda: not Census.of(server.client).in_flight, what="the end of the others")
    until(lambda: server.client.llen(QUEUE) == 0)
    assert reconnects(worker) == 0
    assert worker.pid == main
    assert worker.alive
    assert {child.pid for child in worker.children()} == children
    letters = list(dead_letters(server.client))
    assert len(letters) >= 25
    assert all(letter["reason"] and letter["detail"] for letter in letters)
    assert worker.stop() == 0
    # Every one is accounted for: it is a dead letter, or the worker said what it did with it.
    ran = sum(count for key, count in scenario.ledger.counts("done").items() if key not in good)
    failed = len(set(re.findall(r"Task \S+\[\S+\] raised|nobody\.knows\.it|Discarding|expired", worker.log)))
    assert len(letters) + ran + failed >= len(MALFORMED)


def test_two_thousand_random_changes_of_bytes_disturb_nobody(scenario, server, producer, template):
    count = times(2_000, 20_000)
    worker = scenario.running(server.url, concurrency=2)
    main, children = worker.pid, {child.pid for child in worker.family()}
    pushed(server, [flipped(template, scenario.chance) for _ in range(count)])
    good = producer.send(GOOD)
    assert happens_within(lambda: set(good) <= set(scenario.ledger.counts("done")), 90), Census.of(server.client)
    until(lambda: server.client.llen(QUEUE) == 0 and not Census.of(server.client).in_flight, timeout=60)
    assert reconnects(worker) == 0
    assert worker.pid == main
    assert worker.alive
    assert {child.pid for child in worker.children()} == children
    letters = sum(1 for _ in dead_letters(server.client))
    assert letters > count / 2
    assert worker.stop() == 0
