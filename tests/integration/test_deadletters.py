"""Dead letters: seen, sent back and thrown away, the same way on both brokers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from amqp import Message
from celery import Celery
from tests.faults.harness.waiting import until
from tests.integration.conftest import Broker, broker_on
from tests.integration.rabbit import rabbit_on

from celeriac.exceptions import LostQueue, UnknownDeadLetter
from celeriac.history.deadletters import DeadLetters
from celeriac.history.letters import DeadLetterFilter, DeadReason
from celeriac.testing.servers import rabbitmq_server
from celeriac.testing.worker import WorkerProcess
from celeriac.transport.link import Link, connector
from celeriac.transport.rabbitmq.names import BURIED, DEAD
from celeriac.transport.redis.broker import RedisBroker

pytestmark = [pytest.mark.xdist_group("deadletters"), pytest.mark.timeout(120)]
WAIT = 30
FRAGILE = "tests.kit.fragile"


@dataclass
class Service:
    """An app with its dead letters, and workers for it, on one of the two brokers."""

    app: Celery
    letters: DeadLetters
    queue: str
    start: Callable[..., WorkerProcess]
    depth: Callable[[], int]
    put: Callable[[bytes], None]
    env: dict[str, str]

    bury: Callable[[str, str], None]

    def kill(self, *tasks: str, reason: str = "rejected") -> list[str]:
        """Dead letters of these tasks, in this order. Returns the tasks' ids."""
        ids = []
        for task in tasks:
            ids.append(self.app.send_task(task).id)
            self.bury(task, reason)
        return ids


@pytest.fixture(scope="module")
def virtual_host() -> Generator[str]:
    with rabbitmq_server() as url:
        yield url


@pytest.fixture(params=["redis", "rabbitmq"])
def service(request: pytest.FixtureRequest, alone: Broker) -> Generator[Service]:
    with ExitStack() as stack:
        if request.param == "rabbitmq":
            rabbit = stack.enter_context(rabbit_on(request.getfixturevalue("virtual_host"), alone.url))
            app = rabbit.client().app
            env = {"CELERY_BROKER_URL": rabbit.url, "CELERY_TASK_DEFAULT_QUEUE": rabbit.queue, "REDIS_URL": alone.url}

            def bury_there(task: str, reason: str) -> None:
                """As a worker does it: a copy with the reason, and then no original."""
                why = {"reason": reason, "queue": rabbit.queue, "died": datetime.now(UTC).isoformat(), "deliveries": 1}
                with rabbit.channel() as channel:
                    message = until(lambda: channel.basic_get(rabbit.queue, no_ack=False))
                    assert message.headers["task"] == task
                    properties = {**message.properties, "application_headers": {**message.headers, BURIED: why}}
                    channel.basic_publish(Message(message.body, **properties), DEAD, rabbit.queue)
                    channel.basic_ack(message.delivery_tag)

            there = (rabbit.queue, partial(rabbit.start, FRAGILE), rabbit.depth, rabbit.put, env, bury_there)
            yield Service(app, DeadLetters(app), *there)
            return
        app = stack.enter_context(broker_on(alone.url)).app

        def start(**options: Any) -> WorkerProcess:
            options = {"queues": ["default"], "pool": "solo", **options}
            return stack.enter_context(WorkerProcess(FRAGILE, redis_url=alone.url, **options))

        def depth() -> int:
            return sum(int(alone.redis.llen(f"default{step}")) for step in ("", "\x06\x163", "\x06\x166", "\x06\x169"))

        def put(body: bytes) -> None:
            alone.redis.lpush("default", body)

        link = Link(connector(alone.url), timeout=5)
        stack.callback(link.close)
        tokens = count(1)

        def bury(task: str, reason: str) -> None:
            claim = RedisBroker(link).claim("test", ["default"], 1, first_token=next(tokens))
            (taken,) = claim.deliveries
            task_id: str = json.loads(taken.raw)["headers"]["id"]
            RedisBroker(link).bury(
                "test", taken.token, reason=reason, deliveries=1, task=task, task_id=task_id, queue="default"
            )

        here = ("default", start, depth, put, {"REDIS_URL": alone.url}, bury)
        yield Service(app, DeadLetters(app), *here)


def test_a_dead_letter_says_what_it_is(service):
    before = datetime.now(UTC) - timedelta(seconds=2)
    service.start()
    task_id = service.app.send_task("nobody.knows", ("nobody.knows",), kwargs={"n": 1}).id
    (listed,) = until(lambda: service.letters.list().letters)
    letter = service.letters.show(listed.id)
    assert letter == listed
    assert (letter.task, letter.task_id, letter.queue) == ("nobody.knows", task_id, service.queue)
    assert (letter.reason, letter.detail) == (DeadReason.UNKNOWN_TASK, "no task is named 'nobody.knows' here")
    assert (letter.deliveries, letter.args, letter.kwargs) == (1, "('nobody.knows',)", "{'n': 1}")
    assert letter.worker
    assert before < letter.died <= datetime.now(UTC)
    assert letter.headers["id"] == task_id
    assert letter.message
    assert "nobody.knows" not in repr(letter.headers.get("x-death"))
    assert "headers" not in repr(letter)


def test_replaying_puts_the_message_back_as_it_was(service):
    (task_id,) = service.kill("fragile.fine")
    (letter,) = service.letters.list().letters
    assert service.letters.replay(letter.id) == letter
    assert service.letters.list().letters == ()
    until(lambda: service.depth() == 1)
    service.start()
    assert service.app.AsyncResult(task_id).get(timeout=WAIT) == "fine"
    until(lambda: service.depth() == 0)
    assert service.letters.list().letters == ()


def test_a_replayed_message_may_die_again_as_often_as_before(service, tmp_path):
    path = tmp_path / "executions"
    service.app.send_task("fragile.dies", (str(path),))
    # Prefork looks for what its dead processes held after ten seconds, so that four deaths took most of a minute.
    service.start(pool="lane", concurrency=1, env={"CELERY_TASK_MAX_DELIVERIES": "2"})
    (letter,) = until(lambda: service.letters.list().letters, timeout=60)
    assert (letter.reason, letter.deliveries) == (DeadReason.TOO_MANY_DELIVERIES, 2)
    assert len(path.read_text().split()) == 2
    service.letters.replay(letter.id)
    (again,) = until(lambda: service.letters.list().letters, timeout=60)
    assert again.reason == DeadReason.TOO_MANY_DELIVERIES
    assert again.died > letter.died
    assert len(path.read_text().split()) == 4


def test_dropping_throws_away(service):
    service.kill("nobody.knows")
    (letter,) = service.letters.list().letters
    assert service.letters.drop(letter.id) == letter
    assert service.letters.list().letters == ()
    assert service.depth() == 0
    for call in (service.letters.show, service.letters.drop, service.letters.replay):
        with pytest.raises(UnknownDeadLetter, match=letter.id):
            call(letter.id)


def test_pages_follow_each_other_and_choices_hold(service):
    service.kill(*(f"unknown.{number}" for number in range(4)), reason="unknown-task")
    service.kill("fine", "other")
    first = service.letters.list(limit=4)
    second = service.letters.list(4, first.cursor)
    names = [letter.task for letter in (*first.letters, *second.letters)]
    assert names == ["unknown.0", "unknown.1", "unknown.2", "unknown.3", "fine", "other"]
    assert second.cursor is None
    service.letters.drop(first.letters[-1].id)  # the page after a letter that is gone is the same
    assert service.letters.list(4, first.cursor).letters == second.letters
    assert [each.task for each in service.letters.list(task="unknown.2").letters] == ["unknown.2"]
    assert [each.task for each in service.letters.list(reason="rejected").letters] == ["fine", "other"]
    assert service.letters.list(queue="other").letters == ()
    assert service.letters.list(since=datetime.now(UTC) + timedelta(minutes=1)).letters == ()
    assert len(service.letters.list(since=datetime.now(UTC) - timedelta(minutes=1)).letters) == 5


def test_figures_count_and_tell_the_oldest(service):
    assert service.letters.figures().oldest is None
    service.kill("unknown.a", "unknown.a", "unknown.b", reason="unknown-task")
    service.kill("a")
    figures = service.letters.figures()
    assert (figures.count, figures.counted) == (4, 4)
    assert figures.by_task == {"unknown.a": 2, "unknown.b": 1, "a": 1}
    assert figures.by_reason == {"unknown-task": 3, "rejected": 1}
    assert figures.by_queue == {service.queue: 4}
    assert 0 <= figures.oldest < 60


def test_some_are_replayed_at_a_rate_and_first_only_named(service):
    service.kill("fragile.fine", "fragile.fine", "fragile.fine", "fragile.fine")
    service.kill("unknown", reason="unknown-task")
    chosen = DeadLetterFilter(task="fragile.fine")
    rehearsed = service.letters.replay_some(chosen, dry_run=True)
    assert (len(rehearsed.done), rehearsed.dry_run, service.depth()) == (4, True, 0)
    report = service.letters.replay_some(chosen, rate=5, limit=3)
    assert report.done == rehearsed.done[:3]
    assert report.failed == {}
    assert report.seconds >= 0.4
    until(lambda: service.depth() == 3)
    assert [letter.task for letter in service.letters.list().letters] == ["fragile.fine", "unknown"]
    assert len(service.letters.drop_some(DeadLetterFilter(reason=DeadReason.UNKNOWN_TASK)).done) == 1
    assert len(service.letters.drop_some().done) == 1
    assert service.letters.figures().count == 0


def _moved_on(service: Service, before: int, process: subprocess.Popen[bytes]) -> bool:
    return service.depth() > before or process.poll() is not None


def test_whoever_is_killed_in_the_middle_of_replaying_loses_and_doubles_nothing(service):
    number = 40
    ids = service.kill(*["fragile.fine"] * number)
    program = textwrap.dedent(
        """
        from tests.kit.fragile import app
        from celeriac.history.deadletters import DeadLetters

        DeadLetters(app).replay_some(rate=60)
        """
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    for _ in range(3):
        env = {**os.environ, "PYTHONPATH": path, **service.env}
        replaying = subprocess.Popen([sys.executable, "-c", program], env=env)
        before = service.depth()
        until(partial(_moved_on, service, before, replaying))
        replaying.send_signal(signal.SIGKILL)
        replaying.wait()
    until(lambda: service.depth() + len(service.letters.list(limit=100).letters) == number)
    service.letters.replay_some()
    until(lambda: service.depth() == number)
    worker = service.start()
    assert all(service.app.AsyncResult(each).get(timeout=WAIT) == "fine" for each in ids)
    until(lambda: worker.log.count(" succeeded in ") >= number)
    assert worker.log.count(" succeeded in ") == number


@pytest.mark.parametrize("service", ["rabbitmq"], indirect=True)  # a list on Redis is never gone
def test_a_letter_whose_queue_is_gone_stays(service):
    service.kill("nobody.knows")
    (letter,) = service.letters.list().letters
    with service.app.connection_for_write() as connection, connection.channel() as channel:
        channel.queue_delete(service.queue)
    with pytest.raises(LostQueue, match=service.queue):
        service.letters.replay(letter.id)
    assert service.letters.replay_some().failed.keys() == {letter.id}
    assert service.letters.list().letters == (letter,)


def test_the_command_shows_replays_and_drops(service):
    service.kill("fragile.fine")
    service.kill("unknown", reason="unknown-task")

    def celeriac(*arguments: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        env = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", **service.env}
        command = [sys.executable, "-m", "celeriac", "dead", f"--app={FRAGILE}", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    listed = celeriac("list")
    assert listed.returncode == 0, listed.stderr
    fine, unknown = service.letters.list().letters
    for expected in (fine.id, unknown.id, "fragile.fine", "unknown-task", service.queue):
        assert expected in listed.stdout
    told = json.loads(celeriac("list", "--json", "--task=unknown").stdout)
    assert [each["id"] for each in told] == [unknown.id]
    shown = celeriac("show", unknown.id).stdout
    assert "unknown-task" in shown
    nothing = celeriac("show", "nothing")
    assert (nothing.returncode, "no dead letter has the id 'nothing'" in nothing.stderr) == (1, True)
    assert "1 would be replayed" in celeriac("replay", "--task=fragile.fine", "--dry-run").stdout
    assert "1 replayed" in celeriac("replay", "--task=fragile.fine", "--rate=100").stdout
    until(lambda: service.depth() == 1)
    assert "1 dropped" in celeriac("drop", unknown.id).stdout
    assert celeriac("drop").returncode == 2  # all of them is never meant by saying nothing
    assert service.letters.list().letters == ()
