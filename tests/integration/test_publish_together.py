"""What coroutines send at the same moment: together, each with its own answer, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Generator
from typing import Any

import pytest
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import free_port, until
from tests.integration.test_publish_faults import ANSWER, LIST, app_on, count, id_in
from tests.kit.service import Registry

from celeriac import CeleryPublisher
from celeriac.exceptions import BrokerFull, BrokerUnavailable
from celeriac.tasks.call import Call

pytestmark = [pytest.mark.xdist_group("publish"), pytest.mark.timeout(120)]

MANY = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Generator[PrivateRedis]:
    with PrivateRedis(tmp_path_factory.mktemp("redis"), aof=False) as server:
        yield server


@pytest.fixture
def proxy(server) -> Generator[TcpProxy]:
    server.client.flushall()
    with TcpProxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def registry(proxy) -> Generator[Registry]:
    with app_on(proxy.url()) as (_, registry):
        yield registry


def all_at_once(*calls: Awaitable[Any]) -> list[Any]:
    async def together() -> list[Any]:
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(together())


def ids(server: PrivateRedis, key: str = LIST) -> list[str]:
    """Those of the messages, the first sent first."""
    return [id_in(each) for each in reversed(server.client.lrange(key, 0, -1))]


def test_each_is_sent_once_in_the_order_of_the_calls_and_few_writes_carry_them(server, registry):
    registry.ping.delay()
    server.client.delete(LIST)
    before = server.client.info("stats")["total_reads_processed"]
    answers = all_at_once(*(registry.ping.adelay() for _ in range(MANY)))
    reads = server.client.info("stats")["total_reads_processed"] - before
    assert ids(server) == [answer.id for answer in answers]
    assert reads < MANY / 4, "they did not travel together"


def test_calls_of_several_tasks_and_queues_go_where_they_belong(server, registry):
    async def mixed() -> list[Any]:
        pings = [registry.ping.adelay() for _ in range(20)]
        adds = [registry.add.adelay(number, y=1) for number in range(20)]
        elsewhere = [registry.digest.s(b"x").set(queue="background").adelay() for _ in range(3)]
        return list(await asyncio.gather(*pings, *adds, *elsewhere))

    answers = asyncio.run(mixed())
    assert Counter(ids(server)) == Counter(each.id for each in answers[:40])
    assert Counter(ids(server, "background\x06\x166")) == Counter(each.id for each in answers[40:])


def test_the_first_calls_of_a_process_connect_and_declare(server, proxy):
    with app_on(proxy.url()) as (_, registry):
        answers = all_at_once(*(registry.ping.adelay() for _ in range(50)))
    assert ids(server) == [answer.id for answer in answers]
    assert server.client.exists("_kombu.binding.default")


def test_one_that_does_not_fit_keeps_no_other_from_being_sent(server, registry):
    registry.ping.delay()
    server.client.delete(LIST)
    high = "parcels\x06\x163"
    server.client.set(high, "this is no list")
    calls = [registry.ping.adelay() for _ in range(10)]

    async def run() -> list[Any]:
        bad = CeleryPublisher(registry.ping.publisher.app).apublish  # past the checks
        return await asyncio.gather(*calls, bad(Call("ship", [], {}, {})), return_exceptions=True)

    *good, refused = asyncio.run(run())
    assert ids(server) == [answer.id for answer in good]
    assert isinstance(refused, BrokerUnavailable)
    assert "WRONGTYPE" in refused.reason


@pytest.mark.parametrize("replies", [0, 1])
def test_what_was_under_way_when_the_connection_broke_is_there_once(server, proxy, registry, replies):
    registry.ping.delay()
    server.client.delete(LIST)
    proxy.cut_after(replies) if replies else proxy.reset()
    answers = all_at_once(*(registry.ping.adelay() for _ in range(MANY)))
    assert sorted(ids(server)) == sorted(answer.id for answer in answers)


def test_every_one_has_its_answer_in_time_while_nothing_answers(server, proxy, registry):
    registry.ping.delay()
    proxy.blackhole()
    started = time.monotonic()
    answers = all_at_once(*(registry.ping.adelay() for _ in range(MANY)))
    assert time.monotonic() - started < ANSWER
    assert {type(answer) for answer in answers} == {BrokerUnavailable}
    assert any(answer.uncertain for answer in answers)
    proxy.mend()

    def sent() -> bool:
        return not isinstance(all_at_once(registry.ping.adelay())[0], BrokerUnavailable)

    until(sent)


def test_a_server_that_is_not_there_is_told_to_each():
    with app_on(f"redis://127.0.0.1:{free_port()}/0") as (_, registry):
        answers = all_at_once(*(registry.ping.adelay() for _ in range(50)))
    assert {type(answer) for answer in answers} == {BrokerUnavailable}
    assert not any(answer.uncertain for answer in answers)


def test_a_full_server_is_told_to_each(server, registry):
    registry.ping.delay()
    server.configure("maxmemory", "1")
    try:
        answers = all_at_once(*(registry.ping.adelay() for _ in range(5)))
    finally:
        server.configure("maxmemory", "0")
    assert {type(answer) for answer in answers} == {BrokerFull}


def test_who_gives_up_waiting_disturbs_nobody(server, proxy, registry):
    registry.ping.delay()
    server.client.delete(LIST)

    async def run() -> list[Any]:
        proxy.slow(0.2)
        leaving = asyncio.create_task(registry.ping.adelay())
        staying = [asyncio.create_task(registry.ping.adelay()) for _ in range(5)]
        await asyncio.sleep(0.05)
        leaving.cancel()
        return list(await asyncio.gather(*staying))

    answers = asyncio.run(run())
    assert {answer.id for answer in answers} <= set(ids(server))


def test_one_loop_after_the_other_and_side_by_side(server, registry):
    for _ in range(3):
        all_at_once(registry.ping.adelay(), registry.ping.adelay())
    assert count(server) == 6
