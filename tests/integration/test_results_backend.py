"""Our result backend and Celery's, over the same keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from celeriac import CeleryAppConfig, create_celery_app

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery's own backend calls it


@pytest.fixture
def backends(redis_url: str) -> Iterator[tuple[Any, Any]]:
    ours = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": redis_url, "result_failure_expires": 60}))
    stock = Celery("stock", broker=redis_url, backend=redis_url, set_as_current=False)
    pair: tuple[Any, Any] = ours.backend, stock.backend
    yield pair
    pair[1].client.connection_pool.disconnect()
    ours.close()
    stock.close()


def test_each_reads_what_the_other_stored(backends: tuple[Any, Any]) -> None:
    ours, stock = backends
    ours.store_result("from-ours", {"a": [1, "é"]}, "SUCCESS")
    stock.store_result("from-stock", {"a": [1, "é"]}, "SUCCESS")
    assert stock.get_result("from-ours") == ours.get_result("from-stock") == {"a": [1, "é"]}
    keys = [ours.client.get(ours.get_key_for_task(name)) for name in ("from-ours", "from-stock")]
    assert set(ours.decode(keys[0])) == set(ours.decode(keys[1]))


@pytest.mark.parametrize("later", ["STARTED", "PROGRESS", "RETRY", "FAILURE", "REVOKED"])
def test_a_success_is_never_overwritten(backends: tuple[Any, Any], later: str) -> None:
    ours, _ = backends
    name = f"done-{later}"
    ours.store_result(name, 5, "SUCCESS")
    ours.store_result(name, ValueError("late") if later == "FAILURE" else None, later)
    assert (ours.get_state(name), ours.get_result(name)) == ("SUCCESS", 5)


def test_what_only_looks_like_a_success_is_overwritten(backends: tuple[Any, Any]) -> None:
    ours, _ = backends
    ours.store_result("posing", {"status": "SUCCESS"}, "PROGRESS")
    ours.store_result("posing", 7, "SUCCESS")
    assert (ours.get_state("posing"), ours.get_result("posing")) == ("SUCCESS", 7)


def test_failures_have_an_expiry_of_their_own(backends: tuple[Any, Any]) -> None:
    ours, _ = backends
    ours.store_result("good", 1, "SUCCESS")
    ours.store_result("bad", ValueError("no"), "FAILURE")
    assert 86390 < ours.client.ttl(ours.get_key_for_task("good")) <= 86400
    assert 50 < ours.client.ttl(ours.get_key_for_task("bad")) <= 60


def test_the_script_is_sent_again_where_the_server_forgot_it(backends: tuple[Any, Any]) -> None:
    ours, _ = backends
    ours.store_result("before", 1, "SUCCESS")
    ours.client.script_flush()
    ours.store_result("after", 2, "SUCCESS")
    assert ours.get_result("after") == 2


def test_a_compressed_result_takes_celerys_way(redis_url: str) -> None:
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": redis_url, "result_compression": "zlib"}))
    backend: Any = app.backend
    backend.store_result("small", "x" * 10_000, "SUCCESS")
    backend.store_result("small", None, "STARTED")
    assert backend.get_result("small") == "x" * 10_000
    assert backend.client.strlen(backend.get_key_for_task("small")) < 1_000
    app.close()
