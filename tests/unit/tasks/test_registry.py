from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from tests.kit.service import Container, Registry, ValuesController

import celeriac
from celeriac import TaskController, create_celery_app, task
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import DuplicateTask, InvalidTask, UnknownTask, UnownedTask
from celeriac.testing.recording import RecordingPublisher


def declare(**lines: Any) -> type[celeriac.TasksRegistry]:
    return type("Tasks", (celeriac.TasksRegistry,), lines)


def an_app(**options) -> Celery:
    return create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "memory://", **options}))


def test_a_registry_is_its_table_of_contents():
    registry = Registry(RecordingPublisher())
    assert len(registry) == len(Registry.definitions())
    assert [handle.name for handle in registry][:2] == ["ping", "add"]
    assert list(Registry.definitions())[:3] == ["ping", "add", "async_add"]


def test_a_task_is_found_by_the_name_that_messages_carry():
    registry = Registry(RecordingPublisher())
    assert registry["fast.add"] is registry.async_add


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(UnknownTask) as refused:
        Registry(RecordingPublisher())["pin"]
    assert str(refused.value) == "no task is named 'pin'. Did you mean 'ping'?"


def test_two_tasks_of_one_name_are_refused_when_the_registry_is_declared():
    class Other(TaskController):
        @task("ping")
        def answer(self) -> None: ...

    with pytest.raises(DuplicateTask) as refused:
        declare(ping=ValuesController.ping, answer=Other.answer)

    assert str(refused.value) == (
        "two tasks are named 'ping': tests.kit.service.ValuesController.ping and "
        f"{Other.answer.origin}. Rename one of them: messages carry only the name"
    )


def test_two_tasks_of_one_name_are_refused_across_registries_of_one_app():
    class Other(TaskController):
        @task("ping")
        def answer(self) -> None: ...

    class Second(celeriac.TasksRegistry):
        answer = Other.answer

    app = an_app()
    Registry.install(app, Container())
    with pytest.raises(
        DuplicateTask, match=r"^two tasks are named 'ping': tests\.kit\.service\.ValuesController\.ping and "
    ):
        Second.install(app, Container())


def test_a_function_task_of_the_app_keeps_its_name_to_itself():
    app = an_app()

    @app.task(name="ping", lazy=False)
    def ping() -> None: ...

    with pytest.raises(DuplicateTask):
        Registry.install(app, Container())


def test_a_subclass_registry_adds_to_its_parents_table():
    class Other(TaskController):
        @task("other")
        def other(self) -> None: ...

    class More(Registry):
        other = Other.other

    assert list(More.definitions()) == [*Registry.definitions(), "other"]
    assert "other" not in Registry.definitions()


def test_a_task_that_no_controller_owns_is_refused():
    @task("loose")
    def loose(self) -> None: ...

    with pytest.raises(UnownedTask) as refused:
        declare(adrift=loose)

    assert str(refused.value) == (
        "Tasks names task 'loose', but no TaskController owns it. Declare it with @task as a method of one"
    )


def test_a_line_may_not_hide_a_method_of_the_registry():
    class Other(TaskController):
        @task("other")
        def other(self) -> None: ...

    with pytest.raises(InvalidTask) as refused:
        declare(install=Other.other)

    assert str(refused.value) == (
        "task 'other' cannot be declared: 'install' is a method of every registry; name the line otherwise"
    )


def test_a_task_whose_types_json_cannot_carry_is_refused_at_start():
    class Socket: ...

    class Bad(TaskController):
        def method(self, socket): ...

        method.__annotations__["socket"] = Socket
        bad = task("bad")(method)

    class Tasks(celeriac.TasksRegistry):
        bad = Bad.bad

    with pytest.raises(InvalidTask, match=r"^task 'bad' cannot be declared: its arguments cannot be carried as JSON"):
        Tasks.install(an_app(), Container())


def test_installing_builds_no_controller_and_opens_no_connection():
    container = Container()
    app = an_app()
    Registry.install(app, container)
    registry = Registry(celeriac.CeleryPublisher(app))
    assert registry.ping.name == "ping"
    assert container.log == []
    assert vars(app).get("_pool") is None


def test_installing_twice_changes_nothing():
    app = an_app()
    Registry.install(app, Container())
    before = dict(app.tasks)
    Registry.install(app, Container())
    assert app.tasks == before


@pytest.mark.proves("S000-8")
def test_the_registered_task_carries_retries_and_queue():
    app = an_app()
    Registry.install(app, Container())
    assert app.tasks["batch"].max_retries == 7
    assert vars(app.tasks["batch"])["queue"] == "background"
    assert app.tasks["batch"].ignore_result is True
    assert app.tasks["flaky.linear"].max_retries == 3
    assert app.tasks["slow"].soft_time_limit == 1
    assert app.tasks["slow"].time_limit == 3


@pytest.mark.proves("H-1", "S002-10")
def test_a_task_that_says_nothing_gets_the_retries_of_the_settings():
    app = an_app(task_max_retries=7, task_default_retry_delay=11)
    Registry.install(app, Container())
    assert app.tasks["flaky.default"].max_retries == 7
    assert app.tasks["flaky.default"].default_retry_delay == 11
    assert app.tasks["flaky.linear"].max_retries == 3


def test_the_rate_limit_is_the_celery_tasks_own():
    app = an_app()
    Registry.install(app, Container())
    assert app.tasks["batch"].rate_limit == "10/m"


@pytest.mark.proves("H-15")
def test_celerys_own_argument_check_sees_the_true_signature():
    app = an_app()
    Registry.install(app, Container())
    with pytest.raises(
        TypeError, match=r"missing a required argument: 'x'|missing 1 required positional argument: 'x'"
    ):
        app.tasks["add"].apply_async(())


@pytest.mark.proves("S003-15")
def test_a_single_controller_registers_its_tasks():
    app = an_app()
    ValuesController.register(app, Container())
    assert {"ping", "add", "fast.add"} <= set(app.tasks)
    assert "fail" not in app.tasks


@pytest.mark.proves("S004-4", "S004-5")
def test_five_names_are_routed_by_what_their_tasks_declare():
    class Market(TaskController):
        @task("refresh_market_data", queue="high_priority")
        def refresh(self) -> None: ...

        @task("compute_index", queue="high_priority")
        def compute(self) -> None: ...

        @task("generate_report", queue="low_priority")
        def report(self) -> None: ...

        @task("cleanup_old_data", queue="low_priority")
        def clean_up(self) -> None: ...

        @task("anything_else")
        def other(self) -> None: ...

    class Tasks(celeriac.TasksRegistry):
        refresh = Market.refresh
        compute = Market.compute
        report = Market.report
        clean_up = Market.clean_up
        other = Market.other

    app = an_app()
    Tasks.install(app, Container())
    published = []
    app.amqp.queues  # noqa: B018 - declared before anything is sent
    producer = app.amqp.Producer(app.connection_for_write(), auto_declare=False)
    vars(producer)["publish"] = lambda *_, **options: published.append(options["routing_key"])
    for name in ("refresh_market_data", "compute_index", "generate_report", "cleanup_old_data", "anything_else"):
        app.send_task(name, producer=producer)
        app.tasks[name].apply_async(producer=producer)
    assert published[::2] == published[1::2]
    assert published[::2] == ["high_priority", "high_priority", "low_priority", "low_priority", "default"]
    assert sorted(app.amqp.queues) == ["default", "high_priority", "low_priority"]
