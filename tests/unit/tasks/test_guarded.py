"""What would end a worker, where no worker runs."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import Any
from weakref import ref

import celery
import pytest
from celery.exceptions import SoftTimeLimitExceeded, WorkerShutdown

import celeriac
from celeriac import CeleryAppConfig, CeleryPublisher, Retry, TaskContext, TaskController, create_celery_app, task
from celeriac.exceptions import TaskAborted
from celeriac.tasks.guarded import contain, failure_of

FATAL = [MemoryError("no room"), SystemExit(3), GeneratorExit(), BaseException("odd")]
KINDS = {type(error).__name__: error for error in FATAL}


@contextmanager
def handler(of):
    """SIGINT handled as a worker does, or as Python does."""
    before = signal.signal(signal.SIGINT, of)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Controller(TaskController):
    @task("raises")
    def raises(self, kind: str) -> None:
        raise KINDS[kind]

    @task("raises.async")
    async def raises_async(self, kind: str) -> None:
        raise KINDS[kind]

    @task("again", retry=Retry(on=MemoryError, max_retries=2, backoff=0.01))
    def again(self, kind: str) -> int:
        if TaskContext.current().attempt < 3:
            raise KINDS[kind]
        return TaskContext.current().attempt

    @task("again.aborted", retry=Retry(on=TaskAborted, max_retries=1, backoff=0.01))
    def again_aborted(self, kind: str) -> None:
        raise KINDS[kind]

    @task("other", retry=Retry(on=OSError))
    def other(self, kind: str) -> None:
        raise KINDS[kind]


class RescueController(TaskController):
    @task("rescued")
    def rescued(self, kind: str) -> str:
        raise KINDS[kind]

    def handle_exception(self, error: Exception) -> object:
        return f"{type(error).__name__} of {type(error.__cause__).__name__}"


class Registry(celeriac.TasksRegistry):
    raises = Controller.raises
    raises_async = Controller.raises_async
    again = Controller.again
    again_aborted = Controller.again_aborted
    other = Controller.other
    rescued = RescueController.rescued


class Plain:
    def resolve(self, service: type[Any], /) -> Any:
        return service()


@pytest.fixture
def app() -> Any:
    return create_celery_app(CeleryAppConfig.from_mapping({"task_always_eager": True, "environment": "test"}))


@pytest.fixture
def registry(app):
    Registry.install(app, Plain())
    return Registry(CeleryPublisher(app))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["raises", "raises_async", "other"])
def test_an_error_that_would_end_a_worker_is_the_tasks_failure(registry, name, kind):
    result = getattr(registry, name).delay(kind)
    assert str(result.state) == "FAILURE"
    with pytest.raises(TaskAborted, match=kind) as caught:
        result.get()
    assert getattr(registry, name).definition.name in str(caught.value)


def test_it_is_tried_again_where_the_policy_names_it(registry):
    assert registry.again.delay("MemoryError").get() == 3
    with pytest.raises(TaskAborted, match="SystemExit"):
        registry.again.delay("SystemExit").get()
    with pytest.raises(TaskAborted, match="SystemExit"):
        registry.again_aborted.delay("SystemExit").get()


def test_a_controller_is_asked_about_it(registry):
    for name in KINDS:
        assert registry.rescued.delay(name).get() == f"TaskAborted of {name}"


@pytest.mark.parametrize("kind", KINDS)
def test_function_tasks_and_class_tasks_are_guarded_as_well(app: Any, kind):
    @app.task(name="function")
    def function():
        raise KINDS[kind]

    @app.task(bind=True, name="bound", autoretry_for=(OSError,))
    def bound(self):
        assert self.name == "bound"
        raise KINDS[kind]

    class Old(celery.Task):  # type: ignore[type-arg]
        name = "old"

        def run(self):
            raise KINDS[kind]

    for each in (function, bound, app.register_task(Old())):
        result = each.delay()
        assert result.state == "FAILURE"
        assert isinstance(result.result, TaskAborted)
        assert (result.result.task, type(result.result.__cause__)) == (each.name, type(KINDS[kind]))


def test_autoretry_sees_the_error_itself(app: Any):
    attempts = []

    @app.task(bind=True, name="retried", autoretry_for=(MemoryError,), retry_kwargs={"countdown": 0, "max_retries": 2})
    def retried(self):
        attempts.append(self.request.retries)
        raise MemoryError

    assert isinstance(retried.delay().result, TaskAborted)
    assert attempts == [0, 1, 2]


def test_a_task_called_as_a_function_raises_what_it_raises(app: Any):
    @app.task(name="function")
    def function():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        function()


def test_ordinary_errors_are_their_own_failure():
    for error in (ValueError(), RecursionError(), SoftTimeLimitExceeded()):
        assert failure_of("x", error) is error


def test_a_worker_that_is_told_to_end_ends():
    assert failure_of("x", WorkerShutdown(0)) is None


def test_only_a_real_interruption_reaches_the_process():
    with handler(signal.default_int_handler):
        assert failure_of("x", KeyboardInterrupt()) is None
    with handler(lambda *_: None):
        assert isinstance(failure_of("x", KeyboardInterrupt()), TaskAborted)


def test_a_coroutine_cannot_end_the_loop_and_can_be_cancelled():
    async def fatal():
        raise SystemExit(3)

    async def asleep():
        await asyncio.sleep(60)

    async def both():
        cancelled = asyncio.create_task(contain("asleep", asleep()))
        await asyncio.sleep(0)
        cancelled.cancel()
        return await asyncio.gather(contain("fatal", fatal()), cancelled, return_exceptions=True)

    aborted, cancelled = asyncio.run(both())
    assert isinstance(aborted, TaskAborted)
    assert isinstance(cancelled, asyncio.CancelledError)


def test_what_filled_the_memory_is_let_go():
    class Big: ...

    held = []

    def fill():
        big = Big()
        held.append(ref(big))
        raise MemoryError

    try:
        fill()
    except MemoryError as error:
        failure = failure_of("x", error)
        assert failure is not None
        assert held[0]() is None


def test_the_text_stays_readable():
    failure = failure_of("x", SystemExit("y" * 10_000))
    assert failure is not None
    assert len(str(failure)) < 1000
