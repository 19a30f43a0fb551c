"""On RabbitMQ, a message is acknowledged once its result is stored, whatever becomes of the server of results."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on

from celeriac.testing.servers import rabbitmq_server

pytestmark = [pytest.mark.xdist_group("rabbitmq"), pytest.mark.timeout(180)]
WAIT = 40
POOLS = ["lane", "prefork", "threads", "solo"]


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture
def rabbit(virtual_host: str, second_url: str) -> Generator[Rabbit]:
    with rabbit_on(virtual_host, second_url) as rabbit:
        yield rabbit


@pytest.fixture
def proxy(second_url: str) -> Generator[TcpProxy]:
    """Between the workers and their results."""
    with TcpProxy(urlsplit(second_url).port or 6379) as proxy:
        yield proxy


def executions(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def settled(rabbit: Rabbit) -> bool:
    """Whether the server has nothing left, in anybody's hands or not: what is not acknowledged, it gives to others."""
    with rabbit.channel() as channel:
        return int(channel.queue_delete(rabbit.queue, if_empty=False)) == 0


@pytest.mark.proves("S002-5")
@pytest.mark.parametrize("how", [*(f"{pool}-refuse" for pool in POOLS), "lane-blackhole", "threads-blackhole"])
def test_tasks_outlast_a_server_of_results_that_is_away(rabbit, proxy, second_url, tmp_path, how):
    path = tmp_path / "ran"
    pool, _, fault = how.partition("-")
    backend = second_url.replace(f":{proxy.target}/", f":{proxy.port}/")
    worker = rabbit.start(pool=pool, concurrency=2, env={"CELERY_RESULT_BACKEND": backend})
    client = rabbit.client()
    registry = client.registry
    assert registry.ping.delay().get(timeout=WAIT) == {"result": "pong"}
    getattr(proxy, fault)()
    results = [registry.record.delay(path, str(number)) for number in range(10)]
    until(lambda: executions(path), timeout=WAIT)
    assert all(result.state.value != "SUCCESS" for result in results)
    assert client.app.control.ping(destination=[worker.node], timeout=10)
    proxy.mend()
    for result in results:
        result.get(timeout=WAIT)
    assert sorted(executions(path), key=int) == [str(number) for number in range(10)]
    assert worker.stop() == 0
    assert settled(rabbit)


@pytest.mark.proves("S002-5")
@pytest.mark.parametrize("pool", POOLS)
def test_a_result_that_died_with_its_worker_is_made_again(rabbit, proxy, second_url, tmp_path, pool):
    path = tmp_path / "ran"
    backend = second_url.replace(f":{proxy.target}/", f":{proxy.port}/")
    worker = rabbit.start(pool=pool, concurrency=1, env={"CELERY_RESULT_BACKEND": backend})
    registry = rabbit.client().registry
    proxy.refuse()
    result = registry.record.delay(path, "once")
    until(lambda: executions(path), timeout=WAIT)
    worker.kill()
    rabbit.start(pool=pool, concurrency=1)
    result.get(timeout=WAIT)
    assert executions(path) == ["once", "once"]


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_that_stops_in_the_middle_has_acknowledged_all_that_it_did(rabbit, tmp_path, pool):
    path = tmp_path / "ran"
    registry = rabbit.client().registry
    number = 400
    report = registry.record.enqueue_many((path, str(each)) for each in range(number))
    # Celery's prefork at times never ends with more messages in hand than it has processes.
    ahead = {"CELERY_WORKER_PREFETCH_MULTIPLIER": "1" if pool == "prefork" else "16"}
    first = rabbit.start(pool=pool, concurrency=2, env=ahead)
    until(lambda: len(executions(path)) >= 50)
    assert first.stop() == 0
    second = rabbit.start(pool=pool, concurrency=2, env=ahead)
    for result in report.results():
        result.get(timeout=WAIT)
    assert sorted(executions(path), key=int) == [str(each) for each in range(number)]
    assert second.stop() == 0
    assert settled(rabbit)


def test_coroutines_that_end_out_of_order_are_acknowledged_each(rabbit):
    worker = rabbit.start(
        "tests.kit.lanes", pool="lane", concurrency=1, env={"CELERY_WORKER_PREFETCH_MULTIPLIER": "16"}
    )
    app: Any = rabbit.client().app
    waiting = [app.send_task("beside", ((number * 7 % 10) / 10,)) for number in range(30)]
    assert all(result.get(timeout=WAIT) for result in waiting)
    assert worker.stop() == 0
    assert settled(rabbit)
