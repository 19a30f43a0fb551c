"""Signed messages, on both brokers and with real workers: what is not signed, or was changed, never runs."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from celery import Celery, chain, chord
from redis import Redis
from tests.faults.harness.waiting import until
from tests.kit.clients import client
from tests.kit.service import Container, Registry

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.exceptions import InvalidSetting
from celeriac.history.deadletters import DeadLetters
from celeriac.testing.servers import rabbitmq_server, redis_server
from celeriac.testing.worker import WorkerProcess
from celeriac.transport.signing import SIGNATURE

pytestmark = pytest.mark.xdist_group("signing")
OLD, NEW, STRANGE = ("old-" + 40 * "k", "new-" + 40 * "k", "strange-" + 40 * "k")


class Signed:
    """A broker whose worker has the old key and the new one."""

    def __init__(self, url: str, results: str) -> None:
        self.url = url
        self.results = results

    @contextmanager
    def caller(self, keys: str | None) -> Generator[tuple[Celery, Registry]]:
        said = {"broker_url": self.url, "result_backend": self.results, "task_signing_keys": keys}
        app = create_celery_app(CeleryAppConfig.from_mapping(said))
        Registry.install(app, Container())
        with client(app):
            yield app, Registry(CeleryPublisher(app))

    def dead(self, task_id: str) -> str:
        """Why a message became a dead letter, once it has."""
        with self.caller(OLD) as (app, _):
            letters = DeadLetters(app)

            def look() -> str | None:
                return next((each.detail for each in letters.list(500).letters if each.headers["id"] == task_id), None)

            return until(look)


@pytest.fixture(scope="module", params=["redis-lane", "redis-prefork", "rabbitmq-lane"])
def signed(request: pytest.FixtureRequest) -> Generator[Signed]:
    broker, pool = request.param.split("-")
    with ExitStack() as stack:
        results = stack.enter_context(redis_server())
        url = results if broker == "redis" else stack.enter_context(rabbitmq_server())
        env = {
            "CELERY_BROKER_URL": url,
            "CELERY_RESULT_BACKEND": results,
            "CELERY_TASK_SIGNING_KEYS": f"{OLD},{NEW}",
        }
        stack.enter_context(WorkerProcess("tests.kit.app", redis_url=results, pool=pool, concurrency=2, env=env))
        yield Signed(url, results)


@pytest.mark.proves("S000-43", "S004-22")
def test_a_signed_task_runs_however_it_is_sent(signed):
    with signed.caller(OLD) as (app, registry):
        assert registry.add.delay(2, 3).get(timeout=60) == 5
        assert registry.add.apply_async((2,), {"y": 5}, countdown=1.2).get(timeout=60) == 7
        assert app.send_task("add", (1, 1)).get(timeout=60) == 2
        report = registry.add.enqueue_many([(1, 2), (3, 4)])
        assert [each.get(timeout=60) for each in report.results()] == [3, 7]
        report = registry.ping.enqueue_many([(), ()])
        assert [each.get(timeout=60) for each in report.results()] == [{"result": "pong"}] * 2
        assert registry.ping.delay().get(timeout=60) == {"result": "pong"}


def test_what_a_worker_sends_is_signed_as_well(signed):
    """Retries, links of a chain and bodies of chords are sent by whoever runs what is before them."""
    with signed.caller(OLD) as (app, _):
        adding = app.tasks["add"]
        assert chain(adding.s(1, 1), adding.s(2), adding.s(3)).delay().get(timeout=60) == 7
        assert chord([adding.s(1, 1), adding.s(2, 2)])(app.tasks["anything"].s()).get(timeout=60) == [2, 4]


@pytest.mark.proves("S000-43", "S004-22")
@pytest.mark.parametrize(
    ("keys", "why"),
    [(None, "the signature is missing"), (STRANGE, "the signature is made with a key that is not known here")],
    ids=["unsigned", "strange"],
)
def test_what_nobody_with_a_key_signed_is_a_dead_letter_and_never_runs(signed, keys, why):
    with signed.caller(keys) as (_, registry):
        result = registry.add.delay(2, 3)
        assert why in signed.dead(result.id)
        assert result.state == "PENDING"


@pytest.mark.proves("S000-43")
def test_keys_are_rotated_while_workers_run(signed):
    with signed.caller(f"{NEW},{OLD}") as (_, registry):
        assert registry.add.delay(2, 3).get(timeout=60) == 5


def taken(redis: Redis) -> tuple[bytes, dict[str, Any]]:
    """The one message that waits, off its list."""
    (key,) = redis.scan_iter("default*")
    raw: Any = redis.lpop(key)
    return key, json.loads(raw)


def changed_body(message: dict[str, Any]) -> None:
    body = base64.b64decode(message["body"])
    message["body"] = base64.b64encode(body.replace(b"[2, 3]", b"[2, 9]")).decode()


def other_task(message: dict[str, Any]) -> None:
    message["headers"]["task"] = "anything"


def other_id(message: dict[str, Any]) -> None:
    message["headers"]["id"] = message["headers"]["id"][:-4] + "0000"


def no_end(message: dict[str, Any]) -> None:
    message["headers"]["expires"] = "2999-01-01T00:00:00+00:00"


def no_limit(message: dict[str, Any]) -> None:
    message["headers"]["timelimit"] = [86_400, 86_400]


def other_type(message: dict[str, Any]) -> None:
    message["content-encoding"] = "latin-1"
    message["headers"][SIGNATURE] = message["headers"][SIGNATURE][:-1] + "x"


@pytest.fixture(scope="module")
def quiet() -> Generator[str]:
    """A Redis whose worker starts when the test says so."""
    with redis_server() as url:
        yield url


@pytest.mark.proves("S000-43", "S004-22")
@pytest.mark.parametrize("change", [changed_body, other_task, other_id, no_end, no_limit, other_type])
def test_a_message_that_was_changed_on_the_broker_never_runs(quiet: str, change: Callable[[dict[str, Any]], None]):
    """The name of the task and its times stand beside the body: Celery's own serializer leaves them unsigned."""
    signed = Signed(quiet, quiet)
    with Redis.from_url(quiet) as redis, signed.caller(OLD) as (app, registry):
        redis.flushdb()
        registry.add.delay(2, 3)
        key, message = taken(redis)
        change(message)
        redis.lpush(key, json.dumps(message))
        with app.connection_for_read() as connection, app.amqp.TaskConsumer(connection.default_channel) as consumer:
            got: list[Any] = []
            consumer.on_message = got.append
            letters = DeadLetters(app)
            until(lambda: [drained(connection), letters.list().letters][1])
        assert got == []
        (letter,) = letters.list().letters
        assert "it was changed, or forged" in letter.detail


def drained(connection: Any) -> bool:
    """Whether something came within a moment."""
    try:
        connection.drain_events(timeout=0.2)
    except TimeoutError:
        return False
    return True


def test_what_the_broker_adds_on_the_way_changes_nothing(quiet: str):
    signed = Signed(quiet, quiet)
    with Redis.from_url(quiet) as redis, signed.caller(OLD) as (app, registry):
        redis.flushdb()
        registry.add.delay(2, 3)
        key, message = taken(redis)
        message["headers"]["x-death"] = [{"count": 1}]
        message["headers"]["argsrepr"] = "(2, 3)"
        redis.lpush(key, json.dumps(message))
        with app.connection_for_read() as connection, app.amqp.TaskConsumer(connection.default_channel) as consumer:
            got: list[Any] = []
            consumer.on_message = got.append
            until(lambda: drained(connection) and got)
        assert len(got) == 1


@pytest.mark.parametrize("keys", ["short", f"{OLD},short", ","])
def test_a_key_that_could_be_guessed_ends_the_start_and_is_not_shown(keys):
    with pytest.raises(InvalidSetting, match="task_signing_keys") as error:
        create_celery_app(CeleryAppConfig.from_mapping({"task_signing_keys": keys}))
    assert "short" not in str(error.value)


def test_a_broker_whose_messages_nobody_would_check_is_refused():
    said = {"task_signing_keys": OLD, "broker_url": "memory://"}
    with pytest.raises(InvalidSetting, match="signatures are checked by our transports"):
        create_celery_app(CeleryAppConfig.from_mapping(said))
