"""The fast lane's pool on RabbitMQ, whose children are pushed their messages."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from tests.faults.harness.waiting import until
from tests.kit.clients import client

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import ServerNotFound
from celeriac.testing.servers import rabbitmq_server, redis_server
from celeriac.testing.worker import WorkerProcess

APP = "tests.kit.lanes"
pytestmark = pytest.mark.xdist_group("lane-rabbitmq")


@pytest.fixture(scope="module")
def urls() -> Generator[dict[str, str]]:
    try:
        with rabbitmq_server() as broker, redis_server() as results:
            yield {"broker_url": broker, "result_backend": results}
    except ServerNotFound as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def app(urls: dict[str, str]) -> Generator[Any]:
    with client(create_celery_app(CeleryAppConfig.from_mapping(urls))) as app:
        yield app


@pytest.fixture(scope="module")
def worker(urls: dict[str, str]) -> Generator[WorkerProcess]:
    env = {"CELERY_BROKER_URL": urls["broker_url"], "CELERY_RESULT_BACKEND": urls["result_backend"]}
    with WorkerProcess(APP, redis_url=urls["result_backend"], concurrency=2, env=env) as worker:
        yield worker


@pytest.fixture
def call(app: Any, worker: WorkerProcess) -> Callable[..., Any]:
    def _call(name: str, *args: Any, **options: Any) -> Any:
        return app.send_task(name, args, **options)

    return _call


def outcome(result: Any, timeout: float = 30) -> Any:
    return result.get(timeout=timeout, propagate=False)


def test_children_share_the_work(call: Callable[..., Any]) -> None:
    assert len({outcome(each) for each in [call("nap", 0.2) for _ in range(10)]}) == 2


def test_retries_failures_and_limits_are_celerys(call: Callable[..., Any]) -> None:
    assert outcome(call("again")) == 2
    assert isinstance(outcome(call("hopeless")), ValueError)
    assert outcome(call("limited")) == "SoftTimeLimitExceeded"
    assert outcome(call("early", 0.1)) == "early"


def test_a_hard_limit_is_final(call: Callable[..., Any], app: Any, worker: WorkerProcess) -> None:
    result = call("stubborn")
    assert "TimeLimitExceeded" in repr(outcome(result))
    outcome(call("nap", 2.0))  # long enough for it to be begun again, if it had gone back
    active = app.control.inspect(destination=[worker.node], timeout=5).active()[worker.node]
    assert result.id not in {each["id"] for each in active}


def test_what_kills_its_process_again_and_again_is_given_up(call: Callable[..., Any]) -> None:
    assert "TooManyDeliveries" in repr(outcome(call("vanish")))
    assert outcome(call("quick", 1)) == 1


def test_coroutines_wait_side_by_side(call: Callable[..., Any]) -> None:
    waiting = [call("beside", 1.0) for _ in range(4)]
    assert outcome(call("quick", "meanwhile")) == "meanwhile"
    assert len({outcome(each) for each in waiting}) <= 2


def test_revoking_ends_the_task_for_good(call: Callable[..., Any], app: Any, worker: WorkerProcess) -> None:
    result = call("nap", 30.0)
    until(lambda: result.state == "STARTED")
    result.revoke(terminate=True)
    until(lambda: result.state == "REVOKED")
    outcome(call("quick"))
    assert result.state == "REVOKED"


def test_a_revoked_task_does_not_begin_again_in_another_process(call: Callable[..., Any]) -> None:
    """RabbitMQ gives its message to another child as soon as the first has died."""
    for _ in range(3):
        result = call("nap", 60.0)
        until(lambda: result.state == "STARTED")  # noqa: B023  used at once
        result.revoke(terminate=True)
        until(lambda: result.state == "REVOKED")  # noqa: B023
    until(lambda: len({outcome(each) for each in [call("nap", 0.3) for _ in range(6)]}) == 2)
