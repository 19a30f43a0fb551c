from __future__ import annotations

import asyncio
from types import MethodType

import pytest
from tests.kit.service import Clock, Registry, TroubleController, ValuesController

from celeriac import Retry, TaskDefinition, TaskHandle, task
from celeriac.exceptions import InvalidTask
from celeriac.testing.recording import RecordingPublisher


def test_on_the_class_a_task_is_its_definition():
    definition = ValuesController.add
    assert isinstance(definition, TaskDefinition)
    assert definition.name == "add"
    assert definition.controller is ValuesController
    assert definition.summary == "Add two numbers."
    assert definition.origin == "tests.kit.service.ValuesController.add"
    assert repr(definition) == "<task 'add' of tests.kit.service.ValuesController.add>"


def test_on_a_controller_a_task_is_the_plain_method():
    controller = ValuesController(Clock())
    assert isinstance(controller.add, MethodType)
    assert controller.add(2, 3) == 5


def test_on_a_controller_a_coroutine_stays_one():
    controller = ValuesController(Clock())
    assert ValuesController.async_add.is_coroutine
    assert asyncio.run(controller.async_add(2, 3)) == 5


def test_on_a_registry_a_task_is_a_handle_and_the_same_one_each_time():
    registry = Registry(RecordingPublisher())
    assert isinstance(registry.add, TaskHandle)
    assert registry.add is registry.add
    assert registry.add.definition is ValuesController.add
    assert repr(registry.add) == "<handle of task 'add'(x: int, y: int = 0) -> int>"


def test_two_registries_share_definitions_but_not_handles():
    one, other = Registry(RecordingPublisher()), Registry(RecordingPublisher())
    assert one.add is not other.add


def test_a_controller_lists_its_tasks_in_the_order_of_their_declaration():
    names = [definition.name for definition in TroubleController.definitions()]
    assert names[:3] == ["fail", "fail.async", "flaky"]


@pytest.mark.proves("S000-8")
def test_a_task_declares_its_retries_and_its_queue():
    policy = Registry.batch.policy
    assert policy.queue == "background"
    assert policy.retry == Retry(max_retries=7)
    assert policy.rate_limit == "10/m"


@pytest.mark.parametrize("name", ["", " ping", "ping "])
def test_a_name_is_a_text_without_spaces_around_it(name):
    with pytest.raises(InvalidTask) as refused:
        task(name)(ValuesController.add.function)

    assert str(refused.value) == f"task {name!r} cannot be declared: a name is a text without spaces around it"


def test_what_is_no_method_cannot_be_a_task():
    with pytest.raises(InvalidTask) as refused:
        task("odd")(3)  # type: ignore[call-overload]
    assert str(refused.value) == "task 'odd' cannot be declared: @task goes on a method, not on 3; put it outermost"
