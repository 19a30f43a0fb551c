"""U: whoever dies, the place of a unique task goes on with its message, and the last of many calls runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from redis import Redis
from tests.faults.harness.forms import forms
from tests.faults.harness.scenario import LEASE, RETURN
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.holding import Diary, registry_of

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import TaskRevoked

APP = "tests.kit.holding"
POOLS = forms(["lane"], wide=["threads", "prefork"])
TIMEOUT = RETURN + 20


@pytest.fixture
def server(scenario):
    return scenario.redis()


@pytest.fixture
def calls(server):
    said = {"redis_url": server.url, "broker_lease": LEASE}
    with client(create_celery_app(CeleryAppConfig.from_mapping(said))) as app:
        yield registry_of(app)


@pytest.fixture
def diary(server):
    return Diary(server.client)


@pytest.mark.parametrize("pool", POOLS)
def test_kill_9_of_the_worker_leaves_the_place_to_the_message_that_comes_back(scenario, server, calls, diary, pool):
    victim = scenario.running(server.url, app=APP, pool=pool)
    first = calls.slow.delay("key")
    until(lambda: diary.begun("key") == [first.id])
    victim.kill_group()
    server.client.delete("running:key")
    assert calls.slow.delay("key").id == first.id, "its worker is dead, and the task is not"
    scenario.running(server.url, app=APP, pool=pool)
    until(lambda: diary.begun("key") == [first.id, first.id], timeout=TIMEOUT)
    assert calls.slow.delay("key").dropped
    diary.go("key")
    assert first.get(timeout=TIMEOUT) == first.id
    second = calls.slow.delay("key", "")
    assert not second.dropped
    assert second.get(timeout=TIMEOUT) == second.id


@pytest.mark.parametrize("pool", POOLS)
def test_who_waits_for_a_task_waits_for_its_second_run_too(scenario, server, calls, diary, pool):
    victim = scenario.running(server.url, app=APP, pool=pool)
    first = calls.replace.delay("key", "wait")
    until(lambda: diary.begun("key") == [first.id])
    second = calls.replace.delay("key")
    third = calls.replace.delay("key")
    until(lambda: third.state.value == "RETRY")  # a worker has looked at it
    victim.kill_group()
    server.client.delete("running:key")
    scenario.running(server.url, app=APP, pool=pool)
    until(lambda: diary.begun("key") == [first.id, first.id], timeout=TIMEOUT)
    diary.go("key")
    assert third.get(timeout=TIMEOUT) == third.id
    assert diary.begun("key") == [first.id, first.id, third.id]
    assert max(now for _, _, now in diary.read("key")) == 1
    with pytest.raises(TaskRevoked, match=f"superseded by {third.id}"):
        second.get(timeout=TIMEOUT)


def test_kill_9_of_the_worker_and_of_the_broker_lose_no_last_call(scenario, server, calls, diary):
    victim = scenario.running(server.url, app=APP)
    many = [calls.debounce.delay("key", number) for number in range(20)]
    victim.kill_group()
    many += [calls.debounce.delay("key", number) for number in range(20, 40)]
    server.kill()
    server.start()
    scenario.running(server.url, app=APP)
    until(lambda: diary.begun("key") == [many[-1].id], timeout=TIMEOUT)
    assert many[-1].get(timeout=TIMEOUT) == 39
    with pytest.raises(TaskRevoked, match=f"superseded by {many[1].id}"):
        many[0].get(timeout=TIMEOUT)
    assert diary.begun("key") == [many[-1].id]


PRODUCE = """
from itertools import cycle
from tests.kit.holding import registry
for number in cycle(range(500)):
    registry.drop.delay(f"key-{number}")
    registry.replace.delay(f"other-{number}")
"""


def test_kill_9_of_producers_leaves_no_place_without_a_message(scenario, server):
    env = {**os.environ, "REDIS_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}
    producers = [subprocess.Popen([sys.executable, "-c", PRODUCE], env=env) for _ in range(2)]
    with Redis.from_url(server.url) as redis:
        try:
            until(lambda: len(list(redis.scan_iter("celeriac.hold:*", count=1000))) > 100, timeout=60)
        finally:
            for producer in producers:
                producer.kill()
                producer.wait()
        scenario.running(server.url, app=APP)
        until(lambda: not list(redis.scan_iter("celeriac.hold:*", count=1000)), timeout=60)
        diary = Diary(redis)
        assert (
            max(now for number in range(0, 500, 50) for _, _, now in diary.read(f"key-{number}") or [("", "", 1)]) == 1
        )
