"""A call inside a transaction is sent if that commits, and never else; whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import insert, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from tests.faults.harness.waiting import until
from tests.kit.chronicle import Chronicle
from tests.kit.clients import client
from tests.kit.service import Container

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.exceptions import BrokerUnavailable, UnknownQueue
from celeriac.history.database import engine_of
from celeriac.history.records import HistoryState
from celeriac.testing.recording import RecordingPublisher
from celeriac.testing.servers import redis_server
from celeriac.transport.outbox.relay import Relay, figures_of
from celeriac.transport.outbox.rows import OutboxRow

WAIT = 60
pytestmark = [pytest.mark.xdist_group("history"), pytest.mark.timeout(180)]


@pytest.fixture
def engine(url):
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM celeriac_outbox"))
        connection.execute(text("CREATE TABLE IF NOT EXISTS orders (name VARCHAR(20))"))
        connection.execute(text("DELETE FROM orders"))
    yield engine
    engine.dispose()


@pytest.fixture
def registry(chronicled):
    Chronicle.install(chronicled.app, Container())
    return Chronicle(CeleryPublisher(chronicled.app))


@pytest.fixture
def relay_of(url):
    with ExitStack() as stack:

        def relay_of(app: Any) -> Relay:
            engine = engine_of(url)
            stack.callback(engine.dispose)
            return Relay(app, engine)

        yield relay_of


@pytest.fixture
def relay(chronicled, relay_of):
    return relay_of(chronicled.app)


def queued(chronicled) -> int:
    return sum(chronicled.redis.llen(key) for key in (b"default", b"default\x06\x166"))


def test_what_was_committed_is_sent_in_order_and_what_was_rolled_back_never_was(chronicled, engine, registry, relay):
    with Session(engine) as session, session.begin():
        session.execute(text("INSERT INTO orders VALUES ('one')"))
        sent = [registry.quiet.delay_on_commit(session) for _ in range(5)]
        assert figures_of(engine).backlog == 0
    with Session(engine) as session:
        registry.quiet.delay_on_commit(session)
        session.flush()
        session.rollback()
    with engine.begin() as connection:
        sent.append(registry.quiet.delay_on_commit(connection, 0.0))
    figures = figures_of(engine)
    assert figures.backlog == 6
    assert figures.age is not None
    assert queued(chronicled) == 0
    assert chronicled.history.get(sent[0].id).state is HistoryState.QUEUED

    assert relay.step() == 6
    assert relay.step() == 0
    assert figures_of(engine) == (0, None)
    found: Any = chronicled.redis.lrange(b"default\x06\x166", 0, -1) + chronicled.redis.lrange("default", 0, -1)
    order = [next(each.id for each in sent if each.id.encode() in message) for message in reversed(found)]
    assert order == [each.id for each in sent]
    assert chronicled.history.get(sent[5].id).args == [0.0]


def test_sessions_of_coroutines_write_as_well(url, engine, registry, chronicled):
    if not url.startswith("sqlite"):
        address = engine.url.render_as_string(hide_password=False)
    else:
        address = url.replace("sqlite://", "sqlite+aiosqlite://")

    async def order() -> None:
        made = create_async_engine(address)
        async with AsyncSession(made) as session, session.begin():
            registry.quiet.delay_on_commit(session)
        async with made.begin() as connection:
            with pytest.raises(TypeError, match="run_sync"):
                registry.quiet.delay_on_commit(connection)
            await connection.run_sync(registry.quiet.delay_on_commit)
        await made.dispose()

    asyncio.run(order())
    assert figures_of(engine).backlog == 2
    with pytest.raises(TypeError, match="not str"):
        registry.quiet.delay_on_commit("nonsense")


def test_two_relays_and_one_that_died_send_a_message_once(chronicled, engine, registry, relay, url):
    with Session(engine) as session, session.begin():
        for _ in range(50):
            registry.quiet.delay_on_commit(session)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM celeriac_outbox")).mappings().all()
    assert relay.step() == 50
    with engine.begin() as connection:  # as if it had died before it could delete them
        for row in rows[:20]:
            connection.execute(insert(OutboxRow).values(**row))
    others = [Relay(chronicled.app, engine_of(url)) for _ in range(2)]
    chronicled.redis.delete("celeriac.outbox.leader")
    threads = [threading.Thread(target=each.step) for each in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in others:
        each.stop()
        each._engine.dispose()
    assert figures_of(engine).backlog == 0
    assert queued(chronicled) == 50


def test_a_process_that_dies_after_its_commit_has_sent_nothing_and_the_worker_does(chronicled, engine, url):
    program = f"""
import os, signal
from sqlalchemy.orm import Session
from celeriac.exceptions import BrokerUnavailable, UnknownQueue
from celeriac.history.database import engine_of
from tests.kit.chronicle import registry
with Session(engine_of({url!r})) as session, session.begin():
    print(registry.quiet.delay_on_commit(session).id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    # Redis is not asked: here, nothing listens.
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "REDIS_URL": "redis://127.0.0.1:1/0"}
    run = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False)
    assert run.returncode == -signal.SIGKILL, run.stderr
    task_id = run.stdout.strip()

    chronicled.start(env={"CELERY_OUTBOX_ENABLED": "true"})
    until(lambda: (found := chronicled.history.get(task_id)) and found.state is HistoryState.SUCCEEDED, timeout=WAIT)
    until(lambda: figures_of(engine).backlog == 0, timeout=WAIT)


def test_options_go_along_and_a_countdown_counts_from_the_call(chronicled, engine, registry, relay):
    call = registry.quiet.call((), {}, {"countdown": 600, "headers": {"tags": ["x"]}, "task_id": "chosen"})
    with Session(engine) as session, session.begin():
        CeleryPublisher(chronicled.app).on_commit(session, call)
    relay.step()
    record = chronicled.history.get("chosen")
    assert record.tags == ("x",)
    assert timedelta(minutes=9) < record.eta - datetime.now(UTC) < timedelta(minutes=11)


def test_while_redis_is_away_messages_wait(engine, url, registry):
    away = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": "redis://127.0.0.1:1/0"}))
    with Session(engine) as session, session.begin():
        registry.quiet.delay_on_commit(session)
    waits = engine_of(url)
    relay = Relay(away, waits)
    relay.start()
    relay.stop()
    assert figures_of(engine).backlog == 1
    away.close()


@pytest.mark.parametrize("why", ["redis is away", "rabbitmq is away", "redis is full"])
def test_while_the_broker_takes_nothing_a_call_with_options_waits_as_well(engine, registry, relay_of, redis_url, why):
    with ExitStack() as stack:
        full = stack.enter_context(redis_server())
        redis = stack.enter_context(Redis.from_url(full))
        redis.config_set("maxmemory", "1")
        stack.callback(redis.config_set, "maxmemory", "0")
        away = {"redis is away": "redis://127.0.0.1:1/0", "rabbitmq is away": "amqp://127.0.0.1:1"}
        broker = away.get(why, full)
        said = {"redis_url": redis_url, "broker_url": broker}
        app = stack.enter_context(client(create_celery_app(CeleryAppConfig.from_mapping(said))))
        put_with_options(engine, registry)
        relay = relay_of(app)
        with pytest.raises(BrokerUnavailable):
            relay.step()
        assert figures_of(engine).backlog == 1
        if why == "redis is full":
            redis.config_set("maxmemory", "0")
            assert relay.step() == 1
            assert redis.llen("default") == 1
            assert figures_of(engine).backlog == 0


def put_with_options(engine: Any, registry: Any) -> None:
    """A call that is kept as one, and not as a message."""
    call = registry.quiet.call((), {}, {"headers": {"tags": ["x"]}})
    with Session(engine) as session, session.begin():
        registry.quiet.publisher.on_commit(session, call)


def test_a_call_that_can_never_be_sent_is_dropped(engine, registry, relay, chronicled, monkeypatch):
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise UnknownQueue(queue="gone", declared="default", hint="")

    monkeypatch.setattr(chronicled.app, "send_task", refuse)
    put_with_options(engine, registry)
    assert relay.step() == 1
    assert figures_of(engine).backlog == 0


def test_a_batch_that_takes_long_stays_with_the_relay_that_began_it(
    engine, registry, chronicled, relay_of, monkeypatch
):
    monkeypatch.setattr("celeriac.transport.outbox.relay._LEADS_FOR", 0.6)
    put_some(engine, registry, 20)
    one, other = relay_of(chronicled.app), relay_of(chronicled.app)
    ours, theirs = slowly(one, monkeypatch, 0.1), slowly(other, monkeypatch, 0.0)
    thread = threading.Thread(target=one.step)
    thread.start()
    until(lambda: ours)
    while thread.is_alive():
        other.step()
        time.sleep(0.05)
    assert (len(ours), theirs) == (20, [])


def test_who_may_have_lost_its_turn_sends_no_more_of_what_it_read(engine, registry, chronicled, relay_of, monkeypatch):
    monkeypatch.setattr("celeriac.transport.outbox.relay._LEADS_FOR", 0.2)
    put_some(engine, registry, 3)
    relay = relay_of(chronicled.app)
    slowly(relay, monkeypatch, 0.3)
    assert relay.step() == 1
    assert figures_of(engine).backlog == 2


def test_without_redis_postgresql_knows_whose_turn_it_is(kind, engine, registry, relay_of, monkeypatch):
    if kind == "sqlite":
        pytest.skip("there nobody knows")
    said = {
        "redis_url": "redis://127.0.0.1:1/0",
        "broker_url": "amqp://127.0.0.1:1",
        "result_backend": "cache+memory://",
    }
    with client(create_celery_app(CeleryAppConfig.from_mapping(said))) as app:
        one, other = relay_of(app), relay_of(app)
        put_some(engine, registry, 5)
        ours, theirs = slowly(one, monkeypatch, 0.1), slowly(other, monkeypatch, 0.0)
        thread = threading.Thread(target=one.step)
        thread.start()
        until(lambda: ours)
        assert other.step() == 0
        thread.join()
        put_some(engine, registry, 1)
        assert other.step() == 1
        assert (len(ours), len(theirs)) == (5, 1)


def put_some(engine: Any, registry: Any, count: int) -> None:
    with Session(engine) as session, session.begin():
        for _ in range(count):
            registry.quiet.delay_on_commit(session)


def slowly(relay: Relay, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[str]:
    """Have a relay take its time for each row; the ids of those that it has taken."""
    taken: list[str] = []

    def send(row: Any) -> None:
        taken.append(row.id)
        time.sleep(seconds)

    monkeypatch.setattr(relay, "_send", send)
    return taken


def test_a_tests_publisher_records_at_once():
    publisher = RecordingPublisher()
    Chronicle(publisher).quiet.delay_on_commit(None)
    assert len(publisher.calls) == 1


def test_without_the_table_the_error_is_the_databases(tmp_path, registry):
    engine = engine_of(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(OperationalError, match="celeriac_outbox"), Session(engine) as session, session.begin():
        registry.quiet.delay_on_commit(session)
    engine.dispose()
