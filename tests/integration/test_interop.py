"""Others on the same queues: plain Celery and celery-node call our workers, and run what we send."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult
from tests.faults.harness.waiting import until
from tests.kit.canvas import ExpectedError
from tests.kit.clients import client
from tests.kit.node import Node, installed_node
from tests.kit.stage import Stage, stage_of, stages

from celeriac import CeleryAppConfig, CeleryPublisher, Priority, TaskController, TasksRegistry, create_celery_app, task

WAIT = 15
OURS = stages("redis-lane", "redis-prefork", "rabbitmq-prefork")
ours = pytest.mark.parametrize("stage", OURS, indirect=True)


class Declared(TaskController):
    """Tasks that others run, declared here for their names and types."""

    @task("c.add")
    def add(self, x: int, y: int) -> int: ...  # type: ignore[empty-body]  # run elsewhere

    @task("c.about", priority=Priority.CRITICAL)
    def about(self) -> dict[str, Any]: ...  # type: ignore[empty-body]


class OfNode(TaskController):
    @task("node.add", queue="node")
    def node_add(self, x: int, y: int) -> int: ...  # type: ignore[empty-body]


class Registry(TasksRegistry):
    add = Declared.add
    about = Declared.about


class NodeRegistry(TasksRegistry):
    add = OfNode.node_add


@pytest.fixture
def stock(stage: Stage) -> Generator[Celery]:
    """Plain Celery with its own transport, on the broker of our worker."""
    conf = stage.app.conf
    app = Celery("stock", broker=conf.broker_url, backend=conf.result_backend, set_as_current=False)
    app.conf.update(task_default_queue="default", task_queues=stage.app.amqp.queues.values())
    with client(app):
        yield app


@pytest.fixture
def foreign() -> Generator[tuple[Stage, Celery, Registry]]:
    """A worker of plain Celery, with its own transport, and an app of ours on its broker."""
    with stage_of("stock-prefork") as stage:
        app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": stage.app.conf.broker_url}))
        Registry.install(app, _Nothing())
        with client(app):
            yield stage, app, Registry(CeleryPublisher(app))


class _Nothing:
    def resolve(self, service: type[Any], /) -> Any:
        return service()


# plain Celery calls, our worker runs


@pytest.mark.proves("S000-1", "S000-10")
@ours
def test_plain_celery_calls_our_worker_by_name_and_reads_what_came_of_it(stage: Stage, stock: Celery) -> None:
    assert stock.send_task("c.add", (1,), {"y": 2}).get(timeout=WAIT) == 3
    failed = stock.send_task("c.fails")
    with pytest.raises(Exception, match=r"^0$"):
        failed.get(timeout=WAIT)
    assert failed.state == "FAILURE"
    chained = (stock.signature("c.add", (1, 2)) | stock.signature("c.add", (3,))).apply_async()
    assert chained.get(timeout=WAIT) == 6


@ours
def test_plain_celery_calls_its_own_declaration_of_our_task(stage: Stage, stock: Celery) -> None:
    @stock.task(name="c.add", shared=False)
    def add(x: int, y: int) -> int:
        raise NotImplementedError

    assert add.delay(1, 2).get(timeout=WAIT) == 3
    own: Any = AsyncResult(add.delay(2, 3).id, app=stage.app)
    assert own.get(timeout=WAIT) == 5


@ours
def test_priorities_times_and_expiries_of_plain_celery_hold(stage: Stage, stock: Celery) -> None:
    assert stock.send_task("c.about", priority=3).get(timeout=WAIT)["priority"] == 3
    began = time.time()
    assert stock.send_task("c.same", (1,), countdown=1.2).get(timeout=WAIT) == 1
    assert time.time() - began >= 1.2
    expired = stock.send_task("c.same", (1,), countdown=1.2, expires=0.5)
    with pytest.raises(TaskRevokedError):
        expired.get(timeout=WAIT)


@pytest.mark.proves("S004-17")
@ours
def test_plain_celery_controls_our_worker(stage: Stage, stock: Celery) -> None:
    assert stock.control.ping([stage.worker.node], timeout=5) == [{stage.worker.node: {"ok": "pong"}}]
    running = stock.send_task("c.sleeps", (60,))
    inspect = stock.control.inspect([stage.worker.node], timeout=5)
    until(lambda: running.id in [each["id"] for each in (inspect.active() or {}).get(stage.worker.node, ())])
    stock.control.revoke(running.id, terminate=True)
    with pytest.raises(TaskRevokedError):
        running.get(timeout=WAIT)
    assert stock.send_task("c.same", (1,)).get(timeout=WAIT) == 1


# we call, plain Celery's worker runs


def test_a_worker_of_plain_celery_runs_what_we_send(foreign: tuple[Stage, Celery, Registry]) -> None:
    _, app, registry = foreign
    assert registry.add.delay(1, 2).get(timeout=WAIT) == 3
    report = registry.add.enqueue_many([(n, n) for n in range(50)])
    assert [result.get(timeout=WAIT) for result in report.results()] == [2 * n for n in range(50)]
    assert registry.about.delay().get(timeout=WAIT)["priority"] == Priority.CRITICAL.on("redis")

    by_name = app.send_task("c.fails", (1, 2))
    with pytest.raises(ExpectedError, match="2"):
        by_name.get(timeout=WAIT)

    began = time.time()
    assert registry.add.apply_async((1, 2), countdown=0.7).get(timeout=WAIT) == 3
    assert time.time() - began >= 0.7

    chained = (app.signature("c.add", (1, 2)) | app.signature("c.add", (3,))).apply_async()
    assert chained.get(timeout=WAIT) == 6

    late = registry.add.apply_async((1, 2), countdown=3)
    late.revoke()
    with pytest.raises(Exception, match="revoked"):
        late.get(timeout=WAIT)

    again = app.send_task("c.persists", (2, {"countdown": 0.1}))
    assert again.get(timeout=WAIT)["retries"] == 2


# celery-node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    return installed_node(tmp_path_factory.mktemp("celery-node"))


@pytest.mark.proves("S000-17")
@pytest.mark.parametrize("stage", stages("redis-lane", "redis-prefork"), indirect=True)
def test_celery_node_calls_our_worker_and_reads_results(stage: Stage, node: Node) -> None:
    url = str(stage.app.conf.broker_url)
    calls = [
        ["c.add", [1, 2], {}],
        ["c.add", [1], {"y": 4}],
        ["c.same", [{"a": [1, None, "ü"]}], {}],
        ["c.fails", [], {}],
    ]
    added, named, same, failed = node.call(url, "default", calls)
    assert (added["value"], named["value"], same["value"]) == (3, 5, {"a": [1, None, "ü"]})
    assert "FAILURE" in failed["error"]
    assert AsyncResult(added["id"], app=stage.app).get(timeout=WAIT) == 3


@pytest.mark.parametrize("stage", stages("redis-lane"), indirect=True)
def test_celery_node_runs_what_we_send(stage: Stage, node: Node) -> None:
    """It reads one list alone, the one of the priority 0."""
    app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": stage.app.conf.broker_url}))
    NodeRegistry.install(app, _Nothing())
    registry = NodeRegistry(CeleryPublisher(app))
    with client(app), node.worker(str(stage.app.conf.broker_url), "node"):
        assert registry.add.apply_async((1, 2), priority=Priority.CRITICAL).get(timeout=WAIT) == 3
        plain = app.send_task("node.echo", (["a", 1],), queue="node", priority=0)
        assert plain.get(timeout=WAIT) == ["a", 1]
