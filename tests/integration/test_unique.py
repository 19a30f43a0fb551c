"""One of equal calls: which is sent, which runs, and that its place is free again however it ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from celery import chord
from celery.beat import Scheduler
from celery.exceptions import Reject, TimeLimitExceeded
from pydantic import SecretStr
from redis import Redis
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.holding import Diary, Registry, registry_of
from tests.kit.service import BrokenError

from celeriac import CeleryAppConfig, CeleryPublisher, TaskResult, create_celery_app, every
from celeriac.exceptions import InvalidArguments, ResultTimeout, TaskRevoked, TooManyDeliveries
from celeriac.testing.servers import redis_server
from celeriac.testing.worker import WorkerProcess
from celeriac.transport.envelope import read
from celeriac.transport.signing import Signer

APP = "tests.kit.holding"
TIMEOUT = 30


@dataclass
class Stage:
    """A worker, and who calls it."""

    url: str
    app: Any
    registry: Registry
    redis: Redis
    diary: Diary

    def places(self) -> list[bytes]:
        """The keys of holds that are there."""
        return list(self.redis.scan_iter("celeriac.hold:*"))

    def queued(self) -> int:
        """Messages that wait."""
        queue = self.app.conf.task_default_queue
        return sum(int(self.redis.llen(each)) for each in self.redis.scan_iter(f"{queue}*", _type="list"))


@pytest.fixture(scope="module")
def stage() -> Generator[Stage]:
    """Of a server whose worker each test starts, or shares."""
    with redis_server() as url:
        app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": url}))
        with Redis.from_url(url) as redis, client(app):
            yield Stage(url, app, registry_of(app), redis, Diary(redis))


@pytest.fixture(
    scope="module",
    params=forms(["lane"], ["threads", "prefork", "solo"]),
)
def pool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def worker(stage: Stage, pool: str) -> Generator[WorkerProcess]:
    stage.redis.flushdb()
    with WorkerProcess(APP, redis_url=stage.url, pool=pool, concurrency=1 if pool == "solo" else 3) as process:  # type: ignore[arg-type]
        yield process


@pytest.fixture
def _on_our_own_pool(pool: str) -> None:
    if pool != "lane":
        pytest.skip("said of our own pool")


@pytest.fixture
def alone(stage: Stage) -> Stage:
    """No worker, and nothing on the server."""
    stage.redis.flushdb()
    return stage


@pytest.fixture
def key() -> str:
    return uuid4().hex


def never_two(diary: Diary, key: str) -> None:
    assert max(now for _, _, now in diary.read(key)) == 1


# -- which is sent


def test_a_second_call_is_dropped_and_is_the_first_ones_result(alone, key):
    first, second = alone.registry.slow.delay(key), alone.registry.slow.delay(key)
    assert (first.dropped, second.dropped) == (False, True)
    assert second.id == first.id
    assert alone.queued() == 1
    assert not alone.registry.slow.delay("another").dropped


def test_values_and_not_spellings_make_calls_equal(alone):
    every = alone.registry.all
    first = every.delay("s3cret-word", 1)
    assert every.delay(secret="s3cret-word", flag=True).id == first.id
    assert every.delay("s3cret-word", count=1).id == first.id
    assert not every.delay("s3cret-word", 2).dropped
    pair = alone.registry.pair
    assert not pair.delay(1, 2, "a").dropped
    assert pair.delay(second=2, first=1, rest="b").dropped
    assert not pair.delay(2, 1).dropped


def test_a_secret_is_in_no_key_and_no_value_of_a_place(alone):
    alone.registry.all.delay("s3cret-word")
    for place in alone.places():
        assert b"s3cret" not in place
        assert all(b"s3cret" not in part for pair in alone.redis.hgetall(place).items() for part in pair)
    assert alone.places()


def test_every_way_to_call_goes_by_the_same_place(alone, key):
    slow = alone.registry.slow
    first = slow.apply_async((key,), countdown=60)
    assert not first.dropped
    again = [
        slow.delay(key),
        slow.apply_async((key,), countdown=5),
        slow.s(key).set(countdown=5).delay(),
        slow.apply_async((key,), task_id=str(uuid4())),
    ]
    assert {each.id for each in again} == {first.id}
    assert alone.app.tasks["hold.slow"].delay(key).id == first.id  # as beat calls it
    assert alone.queued() == 1
    # Kept for as long as the message may wait, and a day.
    (place,) = alone.places()
    assert alone.redis.ttl(place) > 86_400 + 30


def test_beat_sends_no_second_one(alone, key):
    slow = alone.registry.slow.delay(key)
    beat = Scheduler(alone.app, lazy=True)
    due = beat.Entry(name="each", task="hold.slow", schedule=every(seconds=60), args=(key,), app=alone.app)
    assert beat.apply_async(due, advance=False).id == slow.id
    assert alone.queued() == 1


def test_a_signed_message_is_as_valid_and_a_secret_as_hidden(alone):
    keys = "a key of more than thirty-two characters"
    said = {"redis_url": alone.url, "task_signing_keys": keys, "history_enabled": True}
    with client(create_celery_app(CeleryAppConfig.from_mapping(said))) as app:
        registry = registry_of(app)
        word = SecretStr("s3cret-word")
        results = [registry.all.delay(word), registry.all.apply_async((word, 2), countdown=30)]
    assert not any(result.dropped for result in results)
    raws = [raw for each in alone.redis.scan_iter("default*", _type="list") for raw in alone.redis.lrange(each, 0, -1)]
    assert len(raws) == 2
    for raw in raws:
        envelope = read(raw)
        Signer([keys]).check(envelope)
        assert "s3cret" not in envelope.headers["argsrepr"]
        assert len(envelope.headers["celeriac-hold"]) == 32
    assert alone.redis.xlen("celeriac.history") == 2, "the history hears of each that was sent"


def test_coroutines_are_dropped_too(alone, key):
    async def twice() -> tuple[TaskResult[str], TaskResult[str]]:
        return await alone.registry.slow.adelay(key), await alone.registry.slow.adelay(key)

    first, second = asyncio.run(twice())
    assert second.dropped
    assert second.id == first.id


def test_a_report_tells_which_items_were_dropped(alone, key):
    there = alone.registry.slow.delay(key)
    report = alone.registry.slow.enqueue_many([(key,), ("other",), ("other",), (1,), ("third",)])
    assert report.dropped == {0: there.id, 2: report.id_of(1)}
    assert len(report) == 2
    assert report.refused_count == 1
    assert report.unsent == ()
    assert [result.id for result in report.results()] == list(report.ids()) == [report.id_of(1), report.id_of(4)]


def test_a_call_that_does_not_fit_holds_nothing(alone):
    with pytest.raises(InvalidArguments):
        alone.registry.slow.delay()
    assert alone.places() == []


def test_one_that_was_revoked_while_it_waited_is_in_nobodys_way(alone, key):
    first = alone.registry.slow.delay(key)
    first.revoke()
    second = alone.registry.slow.delay(key)
    assert not second.dropped
    assert second.id != first.id


def test_a_broker_that_refuses_holds_nothing(alone, key):
    alone.redis.config_set("maxmemory", "1")
    alone.redis.config_set("maxmemory-policy", "noeviction")
    try:
        with pytest.raises(Exception, match="memory"):
            alone.registry.slow.delay(key)
    finally:
        alone.redis.config_set("maxmemory", "0")
    assert alone.places() == []
    assert not alone.registry.slow.delay(key).dropped


# -- that the place is free again


ENDS: dict[str, Any] = {
    "": None,
    "fail": BrokenError,
    "fail twice": None,
    "reject": Reject,
    "ignore": ResultTimeout,
}


@pytest.mark.parametrize("how", ENDS)
def test_the_place_is_free_once_the_result_is_there(stage, worker, key, how):
    result = stage.registry.drop.delay(key, how)
    assert outcome(result, 2 if how == "ignore" else TIMEOUT) is ENDS[how]
    if how != "ignore":  # at once: who has the result may call again
        assert not stage.registry.drop.delay(key, "wait").dropped
        stage.diary.go(key)
    until(lambda: not stage.registry.drop.delay(key).dropped)
    never_two(stage.diary, key)


def test_the_place_is_kept_over_retries(stage, worker, key):
    first = stage.registry.drop.delay(key, "fail twice")
    seen = set()
    while not first.ready():
        seen.add(stage.registry.drop.delay(key, "fail twice").id)
    assert first.id in seen
    first.get(timeout=TIMEOUT)
    never_two(stage.diary, key)


def outcome(result: TaskResult[Any], timeout: float) -> type[BaseException] | None:
    try:
        result.get(timeout=timeout)
    except BaseException as error:  # noqa: BLE001  it is what was asked for
        return type(error)
    return None


@pytest.mark.parametrize("how", ["die once", "sleep"])
def test_an_end_that_nobody_saw_from_inside_frees_it(stage, worker, pool, key, how):
    if pool in {"threads", "solo"}:
        pytest.skip("there a killed process is the whole worker")
    assert outcome(stage.registry.drop.delay(key, how), TIMEOUT) is not ResultTimeout
    assert not stage.registry.drop.delay(key).dropped


@pytest.mark.usefixtures("_on_our_own_pool")
@pytest.mark.parametrize(
    ("how", "error"), [("die once", type(None)), ("sleep", TimeLimitExceeded), ("die", TooManyDeliveries)]
)
def test_a_death_a_hard_limit_and_too_many_deaths_free_it(stage, worker, key, how, error):
    first = stage.registry.drop.delay(key, how)
    assert (outcome(first, TIMEOUT) or type(None)) is error
    second = stage.registry.drop.delay(key)
    assert not second.dropped
    second.get(timeout=TIMEOUT)


@pytest.mark.usefixtures("_on_our_own_pool")
def test_too_many_deaths_of_a_message_of_plain_celerys_free_it(stage, worker, key):
    with pytest.raises(TooManyDeliveries):
        stage.app.send_task("hold.drop", (key, "die")).get(timeout=TIMEOUT)
    second = stage.registry.drop.delay(key)
    assert not second.dropped
    second.get(timeout=TIMEOUT)


def test_revoking_frees_it_before_the_beginning_and_in_the_middle(stage, worker, key):
    slow = stage.registry.slow
    running = slow.delay(key)
    until(lambda: stage.diary.begun(key) == [running.id])
    running.revoke(terminate=True)
    if "solo" not in str(worker.log[:2000]):
        until(lambda: not slow.apply_async((key, ""), countdown=30).dropped, timeout=TIMEOUT)
    else:
        stage.diary.go(key)


def test_one_that_expired_frees_it(stage, worker, key):
    result = stage.registry.drop.apply_async((key,), countdown=0.3, expires=0.1)
    with pytest.raises(TaskRevoked, match="expired"):
        result.get(timeout=TIMEOUT)
    assert not stage.registry.drop.delay(key).dropped


# -- replace and wait


def test_the_one_that_waits_is_replaced_and_told_by_whom(stage, worker, key):
    replace = stage.registry.replace
    old = replace.apply_async((key,), countdown=1.0)
    new = replace.delay(key)
    assert not new.dropped
    assert new.get(timeout=TIMEOUT) == new.id
    with pytest.raises(TaskRevoked, match=f"was revoked: superseded by {new.id}"):
        old.get(timeout=TIMEOUT)
    assert stage.diary.begun(key) == [new.id]


def test_one_that_has_begun_is_not_replaced_and_the_last_of_those_who_wait_runs_after_it(stage, worker, pool, key):
    if pool == "solo":
        pytest.skip("it runs one at a time anyway")
    replace = stage.registry.replace
    running = replace.delay(key, "wait")
    until(lambda: stage.diary.begun(key) == [running.id])
    second, third = replace.delay(key), replace.delay(key)
    with pytest.raises(TaskRevoked, match=f"superseded by {third.id}"):
        second.get(timeout=TIMEOUT)
    assert stage.diary.begun(key) == [running.id]
    stage.diary.go(key)
    assert running.get(timeout=TIMEOUT) == running.id
    assert third.get(timeout=TIMEOUT) == third.id
    assert stage.diary.begun(key) == [running.id, third.id]
    never_two(stage.diary, key)


def test_those_that_wait_all_run_one_after_the_other(stage, worker, key):
    results = [stage.registry.wait.delay(key) for _ in range(5)]
    assert [result.get(timeout=60) for result in results] == [result.id for result in results]
    assert sorted(stage.diary.begun(key)) == sorted(result.id for result in results)
    never_two(stage.diary, key)


# -- by other ways


def test_a_message_of_somebody_elses_is_dropped_when_it_would_run_and_told_so(stage, worker, pool, key):
    if pool == "solo":
        pytest.skip("it runs one at a time anyway")
    running = stage.registry.slow.delay(key)
    until(lambda: stage.diary.begun(key) == [running.id])
    foreign = stage.app.send_task("hold.slow", (key,))
    with pytest.raises(Exception, match=f"dropped: {running.id} has the same key"):
        foreign.get(timeout=TIMEOUT)
    stage.diary.go(key)
    running.get(timeout=TIMEOUT)
    assert stage.app.send_task("hold.slow", (key, "")).get(timeout=TIMEOUT)
    assert len(stage.diary.begun(key)) == 2


def test_a_step_of_a_workflow_is_never_dropped_but_waits(stage, worker, pool, key):
    if pool == "solo":
        pytest.skip("it runs one at a time anyway")
    running = stage.registry.slow.delay(key)
    until(lambda: stage.diary.begun(key) == [running.id])
    chain = stage.registry.slow.s(key, "").then(stage.registry.after).delay()
    time.sleep(0.5)
    assert stage.diary.begun(key) == [running.id]
    stage.diary.go(key)
    assert chain.get(timeout=TIMEOUT).startswith("after ")
    never_two(stage.diary, key)


@pytest.mark.parametrize("how", ["link", "chain", "chord"])
def test_what_plain_celery_sends_after_another_is_never_dropped_but_waits(stage, worker, pool, key, how):
    if pool == "solo":
        pytest.skip("it runs one at a time anyway")
    running = stage.registry.slow.delay(key)
    until(lambda: stage.diary.begun(key) == [running.id])
    before, step = stage.app.tasks["hold.after"].s("x"), stage.app.tasks["hold.slow"].si(key, "")
    if how == "link":
        awaited = step.freeze()
        before.apply_async(link=step)
    else:
        awaited = ((before | step) if how == "chain" else chord([before], step)).delay()
    time.sleep(0.5)
    assert not awaited.ready()
    stage.diary.go(key)
    assert awaited.get(timeout=TIMEOUT) == awaited.id
    assert stage.diary.begun(key) == [running.id, awaited.id]
    never_two(stage.diary, key)


def test_a_call_from_inside_a_task_is_dropped_as_any_other(alone, key, monkeypatch):
    first = alone.registry.slow.delay(key)
    lineage = {"parent_id": str(uuid4()), "root_id": str(uuid4())}
    monkeypatch.setattr(CeleryPublisher, "_lineage", staticmethod(lambda: lineage))
    assert alone.registry.slow.delay(key).id == first.id
    assert not alone.registry.slow.delay("another").dropped
    assert len(alone.places()) == 2


def test_the_headers_of_a_caller_are_not_written_to(alone, key):
    headers = {"mine": 1}
    first, second = (alone.app.tasks["hold.slow"].apply_async((each,), headers=headers) for each in (key, "another"))
    assert headers == {"mine": 1}
    assert first.id != second.id
    assert len(alone.places()) == 2


def test_calls_from_inside_a_task_and_by_several_threads_keep_to_it(stage, worker, key):
    from concurrent.futures import ThreadPoolExecutor

    call: Callable[[int], TaskResult[str]] = lambda _: stage.registry.slow.delay(key)  # noqa: E731  a line
    with ThreadPoolExecutor(8) as executor:
        results = list(executor.map(call, range(40)))
    assert len({result.id for result in results}) == 1
    assert sum(not result.dropped for result in results) == 1
    stage.diary.go(key)
    assert results[0].get(timeout=TIMEOUT) == results[0].id
