"""The harness itself: it must convict whoever loses, repeats or invents, or its acquittals mean nothing."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from tests.faults.harness.census import Census, key_of
from tests.faults.harness.ledger import Ledger
from tests.faults.harness.scenario import STOCK
from tests.faults.harness.seed import schedule_of
from tests.faults.harness.verdict import Verdict
from tests.faults.harness.waiting import until

from celeriac import Priority


def impatient(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))


def test_a_consumer_that_drops_messages_is_convicted_of_loss(scenario):
    server = scenario.redis()
    sent = scenario.producer(server.url).send(20)
    dropped = set()
    for number in range(20):
        key = key_of(server.client.rpop(b"default\x06\x166") or server.client.rpop("default"))
        assert key is not None
        if number % 5 == 0:
            dropped.add(key)
        else:
            scenario.ledger.write("started", key)
            scenario.ledger.write("done", key)
    verdict = scenario.verdict(Census.of(server.client))
    assert verdict.lost == dropped
    assert len(verdict.done) == len(sent) - len(dropped)
    with pytest.raises(AssertionError, match="lost: 4"):
        verdict.require()


def test_a_consumer_that_runs_tasks_twice_is_convicted_of_duplicates(scenario):
    server = scenario.redis()
    first, second = scenario.producer(server.url).send(2)
    server.flush()
    for key in (first, second, second, second):
        scenario.ledger.write("started", key)
        scenario.ledger.write("done", key)
    verdict = scenario.verdict(Census.of(server.client))
    assert verdict.duplicated == {second: 2}
    with pytest.raises(AssertionError, match="2 duplicates, 1 allowed"):
        verdict.require(duplicates=1)
    verdict.require(duplicates=2)


def test_work_that_nobody_sent_and_work_of_a_refused_call_are_told_apart(tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    ledger.write("attempted", "refused-but-ran")
    for key in ("refused-but-ran", "from-nowhere"):
        ledger.write("done", key)
    verdict = Verdict.of(ledger, Census())
    ledger.close()
    assert verdict.recovered == {"refused-but-ran"}
    assert verdict.unexpected == {"from-nowhere"}
    with pytest.raises(AssertionError, match="unexpected: 1"):
        verdict.require()


def test_a_worker_that_never_acknowledges_is_convicted_of_holding(scenario):
    server = scenario.redis()
    (key,) = scenario.producer(server.url).send(1)
    scenario.ledger.write("done", key)
    with pytest.raises(AssertionError, match="done, but still with the broker: 1"):
        scenario.verdict(Census.of(server.client)).require()


def test_messages_are_found_wherever_a_broker_keeps_them(scenario):
    server = scenario.redis()
    producer = scenario.producer(server.url)
    producer.send(2)
    producer.send(1, "work", priority=Priority.CRITICAL)
    assert sorted(Census.of(server.client).queued) == ["work-0", "work-1", "work-2"]
    verdict = scenario.verdict(Census.of(server.client))
    assert verdict.waiting == {"work-0", "work-1", "work-2"}
    assert not verdict.lost
    with pytest.raises(AssertionError, match="never run"):
        verdict.require()


def test_plain_celery_is_convicted_of_losing_what_a_killed_worker_had_begun(scenario):
    server = scenario.redis()
    with scenario.worker(server.url, app=STOCK, pool="prefork", concurrency=4) as worker:
        scenario.producer(server.url).send(12, "work", 30)
        scenario.wait_for_started(4)
        worker.kill_group()
    verdict = scenario.verdict(Census.of(server.client))
    assert len(verdict.lost) >= 4
    with pytest.raises(AssertionError, match="lost: "):
        verdict.require(waiting=12)


@pytest.mark.wide
def test_plain_celery_with_late_acknowledgement_leaves_its_tasks_stuck(scenario):
    server = scenario.redis()
    env = {"FAULTS_ACKS_LATE": "1"}
    with scenario.worker(server.url, app=STOCK, pool="prefork", env=env) as worker:
        scenario.producer(server.url).send(6, "work", 30)
        scenario.wait_for_started(2)
        worker.kill_group()
    with scenario.worker(server.url, app=STOCK, pool="prefork", env=env):
        census = Census.of(server.client)
        assert len(census.unacked) >= 2  # for an hour: the visibility timeout
    with pytest.raises(AssertionError, match="never run, but still with the broker"):
        scenario.verdict(census).require()


@pytest.mark.parametrize(("aof", "kept"), [(True, 20), (False, 0)])
def test_a_killed_server_keeps_what_its_append_only_file_has(scenario, aof, kept):
    server = scenario.redis(aof=aof)
    scenario.producer(server.url).send(20)
    server.kill()
    assert not server.is_up()
    server.start()
    verdict = scenario.verdict(Census.of(server.client))
    assert len(verdict.waiting) == kept
    assert len(verdict.lost) == 20 - kept


def test_a_frozen_server_accepts_and_does_not_answer(scenario):
    server = scenario.redis()
    with impatient(server.url) as client:
        client.ping()
        server.freeze()
        with pytest.raises(RedisTimeoutError):
            client.ping()
        server.thaw()
        assert until(server.is_up)
        server.pause(1)
        with pytest.raises(RedisTimeoutError):
            client.set("a", "b")


def test_a_worker_is_killed_part_by_part_and_started_again_by_its_supervisor(scenario):
    server = scenario.redis()
    worker = scenario.running(server.url, pool="prefork", concurrency=2, supervised=True)
    first = worker.pid
    children = {child.pid for child in worker.children()}
    assert len(children) == 2
    killed = worker.kill_child()
    until(lambda: len(worker.children()) == 2 and killed not in {child.pid for child in worker.children()})
    assert worker.pid == first
    worker.kill_group()
    until(lambda: worker.pid != first and worker.alive and len(worker.children()) == 2, timeout=40)
    assert worker.exits == [-9]


class TestProxy:
    @pytest.fixture
    def server(self, scenario):
        return scenario.redis()

    @pytest.fixture
    def proxy(self, scenario, server):
        return scenario.proxy(server.port)

    @pytest.fixture
    def client(self, proxy):
        with impatient(proxy.url()) as client:
            assert client.ping()
            yield client

    def test_it_forwards(self, client):
        client.set("a", "b" * 1_000_000)
        assert len(client.get("a")) == 1_000_000

    def test_reset_breaks_connections_and_takes_new_ones(self, proxy, client):
        with socket.create_connection(("127.0.0.1", proxy.port)) as raw:
            raw.sendall(b"PING\r\n")
            assert raw.recv(100) == b"+PONG\r\n"
            proxy.reset()
            with pytest.raises(ConnectionResetError):
                raw.recv(100)
        assert client.ping()

    def test_refuse_takes_no_new_ones_until_mended(self, proxy, client):
        proxy.refuse()
        for _ in range(2):
            with pytest.raises(RedisConnectionError):
                client.ping()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", proxy.port)):
            pass
        proxy.mend()
        assert client.ping()

    def test_blackhole_swallows_old_and_new(self, proxy, client):
        proxy.blackhole()
        for _ in range(2):
            with pytest.raises(RedisTimeoutError):
                client.ping()
        proxy.mend()
        assert client.ping()

    def test_half_open_is_over_with_a_new_connection(self, proxy, client):
        proxy.half_open()
        with pytest.raises(RedisTimeoutError):
            client.ping()
        assert client.ping()

    def test_slow_delays_in_both_directions(self, proxy, client):
        proxy.slow(0.1)
        began = time.monotonic()
        client.ping()
        assert time.monotonic() - began >= 0.2

    def test_hold_keeps_what_old_connections_carry_until_later(self, proxy, server, client):
        proxy.hold()
        with pytest.raises(RedisTimeoutError):
            client.set("a", "b")
        assert client.get("a") is None
        proxy.mend()
        assert until(lambda: server.client.get("a")) == b"b"

    def test_mute_lets_requests_through_and_no_reply(self, proxy, server, client):
        proxy.mute()
        with pytest.raises(RedisTimeoutError):
            client.set("a", "b")
        assert server.client.get("a") == b"b"
        proxy.mend()
        assert client.get("a") == b"b"

    def test_cut_ends_a_reply_in_its_middle(self, proxy, client):
        client.set("a", "b" * 1000)
        proxy.cut_after(100)
        with pytest.raises(RedisConnectionError):
            client.get("a")
        assert len(client.get("a")) == 1000

    def test_without_a_server_it_closes(self, proxy, server, client):
        server.kill()
        with pytest.raises(RedisConnectionError):
            client.ping()


def test_chance_is_the_same_for_the_same_seed_and_differs_between_tests():
    assert schedule_of("one").random() == schedule_of("one").random()
    assert schedule_of("one").random() != schedule_of("two").random()


def test_the_key_of_a_message_is_its_first_argument():
    body = json.dumps([["key-1", 2], {}, {}])
    assert key_of(json.dumps({"body": body, "properties": {}}).encode()) == "key-1"
    assert key_of(b"no message") is None
    with suppress(RedisError):
        assert key_of(json.dumps({"body": "[[[]]]", "properties": {}}).encode()) is None
