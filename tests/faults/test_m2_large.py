"""M2: messages that are too much: tens of megabytes, a bomb that inflates, arguments nested without end."""

from __future__ import annotations

import base64
import json

import pytest
from tests.faults.harness.census import dead_letters
from tests.faults.harness.forms import forms
from tests.faults.harness.malformed import bomb
from tests.faults.harness.waiting import until

GROWTH = 100 << 20
QUEUE = "default\x06\x166"


def large(message, size):
    made = json.loads(message)
    made["body"] = base64.b64encode(json.dumps([["large", "x" * size], {}, {}]).encode()).decode()
    made["headers"]["task"] = "faults.swallow"
    return json.dumps(made).encode()


def deep(message):
    made = json.loads(message)
    nested = "[" * 50_000 + "]" * 50_000
    made["body"] = base64.b64encode(f'[["deep", {nested}], {{}}, {{}}]'.encode()).decode()
    return json.dumps(made).encode()


MESSAGES = {
    "fifty megabytes": lambda message: large(message, 50 << 20),
    "a bomb of one gigabyte": lambda message: bomb(message, 1 << 30),
    "fifty thousand levels": deep,
}


@pytest.mark.parametrize("pool", forms(["lane"], wide=["prefork", "threads", "solo"]))
def test_messages_that_are_too_much_are_buried_without_being_taken_in(scenario, server, producer, pool):
    producer.send(1)
    template = server.client.rpop(QUEUE)
    worker = scenario.running(server.url, pool=pool, concurrency=1)
    main, children = worker.pid, {child.pid for child in worker.family()}
    producer.send(5)
    scenario.wait_for_done(5)
    before = peak(worker)
    for make in MESSAGES.values():
        server.client.lpush(QUEUE, make(template))
    good = producer.send(5)
    until(lambda: set(good) <= set(scenario.ledger.counts("done")), timeout=60, what="the good tasks")
    until(lambda: len(list(dead_letters(server.client))) == len(MESSAGES), timeout=60, what="all dead letters")
    grown = peak(worker) - before
    assert grown < GROWTH, f"the worker grew by {grown / 2**20:.0f} MiB"
    assert worker.pid == main
    assert {child.pid for child in worker.children()} == children


def peak(worker) -> int:
    """The most memory that its processes ever had, in bytes."""
    total = 0
    for pid in [worker.pid, *(child.pid for child in worker.children())]:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123  a file of the kernel's
            total += next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
    return total


def test_a_message_that_is_buried_by_a_claim_whose_reply_is_lost_stays_a_dead_letter(scenario, server, producer):
    """The next claim must not give its name to another one."""
    producer.send(1)
    template = server.client.rpop(QUEUE)
    proxy = scenario.proxy(server.port)
    worker = scenario.running(proxy.url(), concurrency=1)
    producer.send(1)
    scenario.wait_for_done(1)
    worker.freeze()  # so that it says nothing but its claim to a connection that gives no answers
    server.client.lpush(QUEUE, large(template, 40 << 20))
    proxy.mute()
    worker.thaw()
    until(lambda: server.client.llen(QUEUE) == 0, what="the claim")
    proxy.mend()
    server.client.lpush(QUEUE, b"malformed")
    until(lambda: server.client.llen(QUEUE) == 0, what="the next claim")
    until(lambda: len(list(dead_letters(server.client))) == 2, what="two dead letters")
