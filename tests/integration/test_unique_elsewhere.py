"""Unique and debounced tasks where messages go by another server than places are kept on, and out of the outbox."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from kombu.exceptions import OperationalError
from redis import Redis
from sqlalchemy.orm import Session
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import until
from tests.integration.rabbit import Rabbit, rabbit_on
from tests.kit.clients import client
from tests.kit.holding import Diary, Registry, registry_of

from celeriac import CeleryAppConfig, create_celery_app
from celeriac.exceptions import BrokerUnavailable, TaskRevoked, TooManyDeliveries
from celeriac.history.database import engine_of
from celeriac.history.schema import upgrade
from celeriac.testing.servers import rabbitmq_server, redis_server
from celeriac.testing.worker import WorkerProcess
from celeriac.transport.outbox.relay import Relay

APP = "tests.kit.holding"
TIMEOUT = 30


class Stage:
    """Calls, and a diary on the server of results."""

    def __init__(self, app: Any, results: str, stack: ExitStack) -> None:
        self.app = app
        self.registry: Registry = registry_of(app)
        self.redis = stack.enter_context(Redis.from_url(results))
        self.diary = Diary(self.redis)


@contextmanager
def two_servers() -> Generator[tuple[str, str]]:
    with redis_server() as broker, redis_server() as results:
        yield broker, results


@pytest.fixture(scope="module")
def apart() -> Generator[Stage]:
    """Two Redis servers, and a worker."""
    with ExitStack() as stack:
        broker, results = stack.enter_context(two_servers())
        said = {"redis_url": results, "broker_url": broker}
        app = stack.enter_context(client(create_celery_app(CeleryAppConfig.from_mapping(said))))
        stack.enter_context(WorkerProcess(APP, redis_url=results, env={"CELERY_BROKER_URL": broker}, concurrency=2))
        yield Stage(app, results, stack)


@pytest.fixture(scope="module")
def rabbit() -> Generator[Rabbit]:
    with rabbitmq_server() as url, redis_server() as results, rabbit_on(url, results) as rabbit:
        yield rabbit


@pytest.fixture(scope="module")
def on_rabbitmq(rabbit: Rabbit) -> Generator[Stage]:
    rabbit.start(APP, pool="lane", concurrency=2)
    with ExitStack() as stack:
        yield Stage(rabbit.client().app, rabbit.results, stack)


@pytest.fixture(params=["apart", pytest.param("on_rabbitmq", marks=pytest.mark.xdist_group("rabbitmq"))])
def stage(request: pytest.FixtureRequest) -> Stage:
    found: Stage = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def key() -> str:
    return uuid4().hex


def test_a_second_call_is_dropped_until_the_first_has_ended(stage, key):
    slow, diary = stage.registry.slow, stage.diary
    first = slow.delay(key)
    until(lambda: diary.begun(key) == [first.id])
    second = slow.delay(key)
    assert second.dropped
    assert second.id == first.id
    diary.go(key)
    assert second.get(timeout=TIMEOUT) == first.id
    third = slow.delay(key, "")
    assert third.get(timeout=TIMEOUT) == third.id
    assert diary.begun(key) == [first.id, third.id]


@pytest.mark.parametrize("how", ["fail", "fail twice", "reject", "die once", "sleep"])
def test_the_place_is_free_however_it_ends(stage, key, how):
    first = stage.registry.drop.delay(key, how)
    until(first.ready, timeout=TIMEOUT)
    second = stage.registry.drop.delay(key)
    assert not second.dropped
    assert second.get(timeout=TIMEOUT) == second.id


def test_the_one_that_waits_is_replaced_and_what_has_begun_is_not(stage, key):
    replace, diary = stage.registry.replace, stage.diary
    running = replace.delay(key, "wait")
    until(lambda: diary.begun(key) == [running.id])
    second, third = replace.delay(key), replace.delay(key)
    with pytest.raises(TaskRevoked, match=f"superseded by {third.id}"):
        second.get(timeout=TIMEOUT)
    diary.go(key)
    assert third.get(timeout=TIMEOUT) == third.id
    assert diary.begun(key) == [running.id, third.id]


def test_too_many_deaths_of_a_message_of_plain_celerys_free_the_place(on_rabbitmq, key):
    foreign = on_rabbitmq.app.send_task("hold.drop", (key, "die"))
    with pytest.raises(TooManyDeliveries):
        foreign.get(timeout=TIMEOUT)
    assert on_rabbitmq.registry.drop.delay(key).get(timeout=TIMEOUT)


def test_those_that_wait_run_one_after_the_other(stage, key):
    results = [stage.registry.wait.delay(key) for _ in range(4)]
    assert [result.get(timeout=60) for result in results] == [result.id for result in results]
    assert max(now for _, _, now in stage.diary.read(key)) == 1


def test_of_a_burst_the_last_call_runs(stage, key):
    calls = [stage.registry.debounce.delay(key, number) for number in range(5)]
    assert calls[-1].get(timeout=TIMEOUT) == 4
    with pytest.raises(TaskRevoked, match=f"superseded by {calls[1].id}"):
        calls[0].get(timeout=TIMEOUT)
    assert stage.diary.begun(key) == [calls[-1].id]


def test_who_dies_between_place_and_message_is_in_the_way_for_seconds(apart, key, monkeypatch):
    """What such a producer leaves behind is a place without a message."""

    def die(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    slow = apart.registry.slow
    with monkeypatch.context() as patch:
        patch.setattr(apart.app, "send_task", die)
        patch.setattr("celeriac.transport.holds.holds.Holds.leave", lambda *_: None)
        with pytest.raises(KeyboardInterrupt):
            slow.delay(key, "")
    (place,) = (each for each in apart.redis.scan_iter("celeriac.hold:hold.slow:*") if apart.redis.hexists(each, "p"))
    assert 0 < apart.redis.ttl(place) <= 30
    assert slow.delay(key, "").dropped
    apart.redis.hset(place, "p", 1)  # as if they were over
    assert slow.delay(key, "").get(timeout=TIMEOUT)


def test_without_the_server_of_places_nothing_is_sent(tmp_path, key):
    with redis_server() as broker, PrivateRedis(tmp_path / "results") as results, Redis.from_url(broker) as redis:
        said = {"redis_url": results.url, "broker_url": broker}
        with client(create_celery_app(CeleryAppConfig.from_mapping(said))) as app:
            registry = registry_of(app)
            results.kill()
            with pytest.raises(BrokerUnavailable, match=r"hold\.slow") as caught:
                registry.slow.delay(key)
            assert not caught.value.uncertain
        assert not redis.exists("default")


def test_without_the_broker_the_place_is_free_again(tmp_path, key):
    with redis_server() as results, PrivateRedis(tmp_path / "broker") as broker, Redis.from_url(results) as redis:
        said = {"redis_url": results, "broker_url": broker.url}
        with client(create_celery_app(CeleryAppConfig.from_mapping(said))) as app:
            registry = registry_of(app)
            broker.kill()
            with pytest.raises(BrokerUnavailable):
                registry.slow.delay(key)
        assert list(redis.scan_iter("celeriac.hold:*")) == []


@pytest.mark.parametrize("uncertain", [True, False])
def test_a_message_that_may_have_arrived_keeps_its_place(apart, key, monkeypatch, uncertain):
    def fail(*_args: Any, **_kwargs: Any) -> None:
        error = BrokerUnavailable(task="hold.slow", broker="", seconds=1.0, reason="unsaid", uncertain=uncertain)
        raise OperationalError(str(error)) from error  # as kombu does

    with monkeypatch.context() as patch:
        patch.setattr(apart.app, "send_task", fail)
        with pytest.raises(BrokerUnavailable):
            apart.registry.slow.delay(key, "")
    again = apart.registry.slow.delay(key, "")
    assert again.dropped is uncertain


def test_out_of_the_outbox_a_call_asks_for_its_place_when_it_is_sent(apart, tmp_path, key):
    url = f"sqlite:///{tmp_path}/outbox.db"
    engine = engine_of(url)
    upgrade(engine)
    relay = Relay(apart.app, engine_of(url))
    with Session(engine) as session, session.begin():
        first = apart.registry.slow.delay_on_commit(session, key)
        second = apart.registry.slow.delay_on_commit(session, key)
    assert relay.step() == 2
    until(lambda: apart.diary.begun(key) == [first.id])
    with pytest.raises(TaskRevoked, match=f"dropped: {first.id} has the same key"):
        second.get(timeout=TIMEOUT)
    apart.diary.go(key)
    assert first.get(timeout=TIMEOUT) == first.id
    engine.dispose()


def test_with_results_elsewhere_than_in_redis_a_task_leaves_its_place_itself(key):
    with redis_server() as broker, Redis.from_url(broker) as redis:
        results = {"result_backend": "cache+memory://", "redis_url": broker}
        diary = Diary(redis)
        with client(create_celery_app(CeleryAppConfig.from_mapping(results))) as app:
            registry = registry_of(app)
            with WorkerProcess(APP, redis_url=broker, env={"CELERY_RESULT_BACKEND": "cache+memory://"}, concurrency=2):
                for how, begins in (("", 1), ("fail", 3), ("ignore", 1), ("reject", 1), ("wait", 1)):
                    call = registry.drop.delay(key, how)
                    assert not call.dropped
                    until(lambda: diary.begun(key).count(call.id) == begins)  # noqa: B023  called at once
                    if how == "wait":
                        assert registry.drop.delay(key).dropped
                        diary.go(key)
                    until(lambda: not list(redis.scan_iter("celeriac.hold:*")))
