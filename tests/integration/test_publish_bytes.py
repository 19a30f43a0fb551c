"""What we send is, to the byte, what plain Celery and kombu send: all but ids and times."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from celery import Celery, chain, chord, group
from kombu import Exchange, Queue
from pydantic import SecretStr
from redis import Redis
from tests.kit.service import Container, Registry

from celeriac import CeleryAppConfig, CeleryPublisher, Priority, create_celery_app
from celeriac.options.conf import conf_of
from celeriac.tasks.policies import Limits
from celeriac.testing.servers import redis_server

pytestmark = pytest.mark.xdist_group("publish")

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
BODY = re.compile(rb'"body": "([^"]*)"')
TTL = re.compile(rb'"expiration": "\d{9,}"')
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")
POLICY = ("priority", "queue", "ignore_result", "expires", "time_limit", "soft_time_limit")
QUEUES = (Queue("other"), Queue("named", Exchange("elsewhere", type="direct"), routing_key="a key"))


class Sides(NamedTuple):
    """Our app and a plain one, each on a database of its own."""

    ours: Celery
    plain: Celery
    registry: Registry
    ours_redis: Redis
    plain_redis: Redis

    def sent(self, redis: Any) -> dict[bytes, list[bytes]]:
        """Every list and its messages, ids numbered in the order in which they first appear."""
        keys = [key for key in sorted(redis.keys()) if redis.type(key) == b"list"]
        found = {key: [normal(message) for message in redis.lrange(key, 0, -1)] for key in keys}
        if keys:
            redis.delete(*keys)  # and not what was declared, which is done once a connection
        return found

    def same(self) -> dict[bytes, list[bytes]]:
        ours, plain = self.sent(self.ours_redis), self.sent(self.plain_redis)
        for key, messages in plain.items():
            assert ours.get(key) == messages
        assert ours == plain
        assert ours, "nothing was sent"
        return ours


def normal(message: bytes) -> bytes:
    """A message with its body in clear, as ids may be in there as well."""
    numbers: dict[bytes, bytes] = {}
    text = BODY.sub(lambda found: b'"body": ' + b64decode(found[1], validate=True), message, count=1)
    text = UUID.sub(lambda found: numbers.setdefault(found[0], b"id-%d" % len(numbers)), text)
    return TTL.sub(b"ttl", TIME.sub(b"time", text))


def nothing(*args, **kwargs):
    """The plain app's tasks are only sent."""


@pytest.fixture(scope="module")
def url() -> Generator[str]:
    with redis_server() as url:
        yield url


PREFIXED = {"broker_transport_options": {"global_keyprefix": "p:"}}


@pytest.fixture(scope="module", params=[{}, PREFIXED], ids=["", "prefix"])
def sides(request, url) -> Generator[Sides]:
    base = url.rpartition("/")[0]
    settings = CeleryAppConfig.from_mapping({"redis_url": f"{base}/1", "task_queues": {}, **request.param}).settings
    ours = create_celery_app(CeleryAppConfig(settings))
    plain = Celery("plain", set_as_current=False)
    plain.conf.update(conf_of(settings))
    plain.conf.update(broker_url=f"{base}/2", result_backend="cache+memory://")
    Registry.install(ours, Container())
    for name, task in ours.tasks.items():
        if not name.startswith("celery."):
            said = {key: value for key in POLICY if (value := getattr(task, key, None)) is not None}
            plain.task(name=name, shared=False, typing=False)(nothing)
            vars(plain.tasks[name]).update(said)
    for app in (ours, plain):
        app.conf.task_queues = (*app.conf.task_queues, *QUEUES) if app is ours else ours.conf.task_queues
        app.amqp.__dict__.pop("queues", None)
    with Redis.from_url(f"{base}/1") as ours_redis, Redis.from_url(f"{base}/2") as plain_redis:
        yield Sides(ours, plain, Registry(CeleryPublisher(ours)), ours_redis, plain_redis)
        ours.close()
        plain.close()


ARGS: list[tuple[list[Any], dict[str, Any]]] = [
    ([], {}),
    ([1, 2], {}),
    ([1], {"y": 2}),
    ([1.5, True, None, "text"], {"a": -1, "b": "ü"}),
    (["it's", 'a "quote"', "back\\slash", "new\nline", "100 %", "%(id)s %s"], {"q": "it's"}),
    (["snö ☃ 😀", ""], {"ключ": ["é"]}),
    ([[1, [2, [3, [4, [5]]]]], {"deep": {"er": {"and": {"er": {}}}}}], {"list": [], "dict": {}}),
    (["x" * 5000], {"y": "z" * 5000}),
    (["x" * 1019], {}),
    (["x" * 1020], {"y": "y" * 1013}),
    (["x" * 1021], {"y": "y" * 1014}),
    ([list(range(1000))], {str(each): each for each in range(500)}),
    ([1] * 700, {}),
    ([10**30, -0.0, 1e300], {}),
]


OPTIONS: list[dict[str, Any]] = [
    {"countdown": 7},
    {"countdown": 0},
    {"eta": datetime(2030, 1, 1, 12, 0, 0, 5, UTC)},
    {"expires": 60},
    {"expires": 0.5},
    {"expires": datetime(2030, 1, 1, tzinfo=UTC)},
    {"priority": 0},
    {"priority": 3},
    {"priority": 9},
    {"headers": {"trace": "ü", "n": [1, {"a": None}]}},
    {"queue": "other"},
    {"queue": "named"},
    {"queue": Queue("other")},
    {"exchange": "", "routing_key": "other"},
    {"exchange": "elsewhere", "routing_key": "a key", "queue": "named"},
    {"time_limit": 10, "soft_time_limit": 5},
    {"ignore_result": True},
    {"task_id": "an id of one's own"},
    {"shadow": "another name"},
    {"group_id": "g", "group_index": 3},
    {"root_id": "r", "parent_id": "p"},
    {"reply_to": "somebody"},
    {"retries": 2},
    {"argsrepr": "(hidden)", "kwargsrepr": "{hidden}"},
    {"delivery_mode": 1},
    {"delivery_mode": "transient"},
    {"serializer": "json", "compression": "zlib"},
    {"serializer": "pickle"},
    {"serializer": "yaml"},
    {"origin": "elsewhere"},
    {"replaced_task_nesting": 2},
    {"stamped_headers": ["stamp"], "stamp": "value"},
    {"message_id": "a property of AMQP", "timestamp": 5},
    {"mandatory": True, "immediate": False},
    {"retry": False},
    {"retry": True, "retry_policy": {"max_retries": 1}},
]


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_every_option_of_send_task(sides, options):
    if options.get("serializer") == "yaml":
        pytest.importorskip("yaml")
    for app in (sides.ours, sides.plain):
        app.send_task("add", (1, 2), {"z": "ü"}, **options)
        app.tasks["add"].apply_async((1,), {"y": 2}, **options)
    sides.same()


def test_callbacks(sides):
    for app in (sides.ours, sides.plain):
        add = app.tasks["add"]
        add.apply_async((1, 2), link=add.s(3), link_error=[add.si(4, 5).set(queue="other"), add.s()])
    sides.same()


def test_canvas(sides):
    for app in (sides.ours, sides.plain):
        add = app.tasks["add"]
        chain(add.s(1, 2), add.s(3).set(priority=9), group(add.s(4), add.s(5))).apply_async()
        group(add.s(1, 2), add.s(3, 4)).apply_async()
    sides.same()


def test_a_chord(sides):
    for app in (sides.ours, sides.plain):
        add = app.tasks["add"]
        chord([add.s(1, 2), add.s(3, 4)], add.s(5)).apply_async()
    sides.same()


@pytest.mark.parametrize(
    ("args", "kwargs"), [((1,), {}), ((1, 2), {}), ((1,), {"y": 2}), ((), {"x": 1, "y": 2}), ((-5, 10**12), {})]
)
def test_delay_from_its_template(sides, args, kwargs):
    sides.registry.add.delay(*args, **kwargs)
    sides.plain.tasks["add"].apply_async(args, kwargs)
    assert sides.ours.amqp.template("add") is not None
    sides.same()


@pytest.mark.parametrize(("args", "kwargs"), ARGS)
def test_a_template_with_whatever_arguments(sides, args, kwargs):
    from celeriac.tasks.call import Call

    sides.registry.anything.publisher.publish(Call("anything", args, kwargs, {}))
    sides.plain.tasks["anything"].apply_async(tuple(args), kwargs)
    assert sides.ours.amqp.template("anything") is not None
    sides.same()


@pytest.mark.parametrize("name", sorted(definition.name for definition in Registry.definitions().values()))
def test_every_tasks_own_policy(sides, name):
    from celeriac.tasks.call import Call

    sides.registry[name].publisher.publish(Call(name, [], {}, {}))
    sides.plain.tasks[name].apply_async()
    sides.same()


def test_masked_arguments(sides):
    sides.registry.login.delay("me", SecretStr("geheim"))
    shown = "('me', SecretStr('**********'))"
    sides.plain.tasks["login"].apply_async(("me", "geheim"), argsrepr=shown, kwargsrepr="{}")
    assert sides.ours.amqp.template("login", masked=True) is not None
    sides.same()


@pytest.mark.parametrize(
    "options",
    [
        {"countdown": timedelta(seconds=5)},
        {"expires": 9.0, "ignore_result": True},
        {"priority": Priority.HIGH, "queue": "other"},
        {"headers": {"a": 1}, "limits": Limits(soft=5, hard=9)},
        {"eta": datetime(2031, 1, 1, tzinfo=UTC)},
    ],
    ids=repr,
)
def test_calls_with_options_and_the_same_in_bulk(sides, options):
    from celeriac.tasks.call import Call

    said = Call("add", [], {}, options).celery_options("redis")
    for args in ((1, 2), (3, 4)):
        sides.registry.add.apply_async(args, **options)
        sides.plain.tasks["add"].apply_async(args, **said)
    one_by_one = sides.same()
    report = sides.registry.add.enqueue_many([(1, 2), (3, 4)], **options)
    assert len(report) == 2
    assert sides.sent(sides.ours_redis) == one_by_one


def test_a_bulk_of_plain_calls(sides):
    report = sides.registry.add.enqueue_many([(1, 2), {"x": 3}, (5,)])
    ids = list(report.ids())
    for args, kwargs, task_id in (((1, 2), {}, ids[0]), ((), {"x": 3}, ids[1]), ((5,), {}, ids[2])):
        sides.plain.tasks["add"].apply_async(args, kwargs, task_id=task_id)
    sides.same()


def test_a_bulk_of_calls_without_arguments(sides):
    sides.registry.ping.enqueue_many([(), {}, ()], batch=2)
    for _ in range(3):
        sides.plain.tasks["ping"].delay()
    sides.same()
