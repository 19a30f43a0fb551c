"""``celery --app=tests.kit.canvas worker``: plain Celery functions that canvases are made of, on an app of ours.

With ``STOCK`` set the app is Celery's own, which shows what these functions do there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

from celery import Celery, Signature, Task
from celery import canvas as _canvas
from celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from celery.result import allow_join_result
from pydantic import BaseModel
from redis import Redis

from celeriac import create_celery_app

# Celery's stubs know a part of what these take and give.
_untyped: Any = _canvas
chain: Any = _untyped.chain
chord: Any = _untyped.chord
group: Any = _untyped.group
StampingVisitor: Any = _untyped.StampingVisitor


class ExpectedError(Exception):
    """What the tasks here fail with."""


class UnpicklableError(Exception):
    def __init__(self, foo: str, bar: str) -> None:
        super().__init__(foo)
        self.bar = bar


class Pair(BaseModel):
    x: int
    y: int


class Sum(BaseModel):
    result: int


def note(key: str, value: object) -> None:
    """Tell the test that something happened."""
    with Redis.from_url(os.environ["REDIS_URL"]) as redis:
        redis.rpush(f"noted:{key}", str(value))


def tasks_on(app: Celery) -> SimpleNamespace:  # noqa: C901, PLR0915  one function for each thing that a canvas can do
    """Register the functions on an app."""
    decorator: Any = partial(app.task, shared=False)  # Celery would give them to every app of the process
    task: Callable[..., Callable[[Callable[..., Any]], Any]] = decorator

    @task(name="c.add")
    def add(x: Any, y: Any) -> Any:
        return x + y

    @task(name="c.total")
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @task(name="c.deep_total")
    def deep_total(numbers: Any) -> int:
        return sum(map(deep_total, numbers)) if isinstance(numbers, list) else numbers

    @task(name="c.same")
    def same(value: Any) -> Any:
        return value

    @task(name="c.silent", ignore_result=True)
    def silent(key: str) -> str:
        note(key, "ran")
        return "nobody reads this"

    @task(name="c.noted")
    def noted(value: Any, *, key: str) -> Any:
        note(key, value)
        return value

    @task(name="c.fails")
    def fails(*args: Any) -> None:
        raise ExpectedError(len(args))

    @task(name="c.raises")
    def raises(kind: str) -> None:
        if kind == "RecursionError":
            raises(kind)
        if kind == "SystemExit":
            sys.exit(3)
        raise {
            "MemoryError": MemoryError("no room"),
            "KeyboardInterrupt": KeyboardInterrupt(),
            "GeneratorExit": GeneratorExit(),
            "BaseException": BaseException("odd"),
        }[kind]

    @task(name="c.process")
    def process() -> int:
        return os.getpid()

    @task(name="c.unpicklable")
    def unpicklable() -> None:
        raise UnpicklableError(foo="foo", bar="bar")

    @task(name="c.old_errback")
    def old_errback(task_id: str) -> str:
        note(task_id, "old")
        return task_id

    @task(name="c.new_errback")
    def new_errback(request: Any, error: Any, traceback: Any) -> None:
        note(request.id, "new")

    @task(name="c.becomes", bind=True)
    def becomes(self: Any, *args: Any, other: Any, link: Any = None, link_error: Any = None) -> Any:
        signature = self.app.signature(other)
        if args and signature.task == "celery.chain":
            first, *others = signature.tasks
            signature = chain(self.app.signature(first).clone(args), *others)
        elif args:
            signature = signature.clone(args)
        if link is not None:
            signature.link(self.app.signature(link))
        if link_error is not None:
            signature.link_error(self.app.signature(link_error))
        return self.replace(signature)

    @task(name="c.becomes_nothing", bind=True)
    def becomes_nothing(self: Any) -> Any:
        return self.replace(chain())

    @task(name="c.add_to_all", bind=True)
    def add_to_all(self: Any, numbers: list[Any], value: Any) -> Any:
        return self.replace(group(add.s(number, value) for number in numbers))

    @task(name="c.widen", bind=True)
    def widen(self: Any, numbers: list[int], value: int) -> int:
        for number in numbers:
            self.add_to_chord(add.s(number, value))
        return 0

    @task(name="c.widen_by_chord", bind=True)
    def widen_by_chord(self: Any, numbers: list[int], value: int) -> int:
        self.add_to_chord(group(add.s(number, value) for number in numbers) | total.s())
        return 0

    @task(name="c.ids", bind=True)
    def ids(self: Any, number: int) -> Any:
        return self.request.root_id, self.request.parent_id, number

    @task(name="c.collect_ids", bind=True)
    def collect_ids(self: Any, before: Any, number: int) -> Any:
        return before, (self.request.root_id, self.request.parent_id, number)

    @task(name="c.about", bind=True)
    def about(self: Any, *args: Any) -> dict[str, Any]:
        request = self.request
        return {
            "retries": request.retries,
            "priority": request.delivery_info.get("priority"),
            "redelivered": request.delivery_info.get("redelivered"),
            "routing_key": request.delivery_info.get("routing_key"),
            "headers": request.headers,
            "timelimit": request.timelimit,
            "stamps": request.stamps,
            "stamped_headers": request.stamped_headers,
            "group": request.group,
            "correlation_id": request.correlation_id,
        }

    @task(name="c.persists", bind=True, max_retries=5, default_retry_delay=0.05)
    def persists(self: Any, times: int, options: dict[str, Any] | None = None) -> Any:
        if self.request.retries < times:
            raise self.retry(**(options or {}))
        return about_dict(self.request)

    def about_dict(request: Any) -> dict[str, Any]:
        return {
            "retries": request.retries,
            "priority": request.delivery_info.get("priority"),
            "headers": {name: value for name, value in (request.headers or {}).items() if name.startswith("x_")},
            "stamps": request.stamps,
        }

    @task(name="c.gives_up", bind=True, max_retries=2, default_retry_delay=0.05)
    def gives_up(self: Any, key: str) -> None:
        note(key, self.request.retries)
        raise self.retry(exc=ExpectedError("given up", self.request.retries))

    class Persistent(Task):  # type: ignore[type-arg]
        name = "c.persistent"
        autoretry_for = (ExpectedError,)
        retry_kwargs = {"max_retries": 3, "countdown": 0}  # noqa: RUF012  Celery's way
        retry_backoff = False

        def run(self, times: int) -> int:
            if self.request.retries < times:
                raise ExpectedError(self.request.retries)
            return int(self.request.retries)

    app.register_task(Persistent())

    @task(name="c.sleeps")
    def sleeps(seconds: float, *args: Any) -> float:
        time.sleep(seconds)
        return seconds

    @task(name="c.stubborn")
    def stubborn() -> None:
        with suppress(SoftTimeLimitExceeded):
            time.sleep(60)
        time.sleep(60)

    @task(name="c.metered", rate_limit="4/s")
    def metered() -> float:
        return time.time()

    @task(name="c.rejects", acks_late=True)
    def rejects() -> None:
        raise Reject(requeue=False)

    @task(name="c.rejects_once", bind=True, acks_late=True)
    def rejects_once(self: Any) -> str:
        if not self.request.delivery_info.get("redelivered"):
            raise Reject(requeue=True)
        return "second time"

    @task(name="c.ignores", bind=True)
    def ignores(self: Any) -> None:
        self.update_state(state="SUCCESS", meta="by hand")
        raise Ignore

    @task(name="c.starts_chain")
    def starts_chain() -> str:
        return str((add.si(1, 2) | add.s(4)).apply_async().id)

    @task(name="c.eager_inside")
    def eager_inside() -> Any:
        with allow_join_result():
            return (add.s(1, 2) | group(add.s(1), add.s(2)) | total.s()).apply().get()

    @task(name="c.pair", pydantic=True)
    def pair(data: Pair) -> Sum:
        return Sum(result=data.x + data.y)

    @task(name="c.rebuilt")
    def rebuilt(signature: Any) -> Any:
        """What a signature that travelled is made of."""

        def shape(each: Any) -> Any:
            assert isinstance(each, Signature)
            members: Any = each
            parts = [shape(part) for part in getattr(each, "tasks", ())]
            return [each.task, *parts, *([shape(members.body)] if isinstance(each, chord) else [])]

        return shape(app.signature(signature))

    functions = {name: value for name, value in locals().items() if isinstance(value, Task) or hasattr(value, "delay")}
    return SimpleNamespace(**functions)


def make_app() -> Celery:
    """The app that the environment describes."""
    if "STOCK" not in os.environ:
        return create_celery_app()
    url = os.environ["REDIS_URL"]
    stock = Celery("stock", broker=url, backend=url, set_as_current=False)
    stock.conf.update(task_default_queue="default", accept_content=["json"], task_acks_late=True)
    return stock


if "REDIS_URL" in os.environ:
    app = make_app()
    tasks = tasks_on(app)
