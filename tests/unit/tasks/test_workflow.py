from __future__ import annotations

import pytest
from celery import chain, group
from pydantic import SecretStr
from tests.kit.service import Container, Registry

from celeriac import CeleryPublisher, Priority, chunked, create_celery_app, gather
from celeriac.app import CeleryAppConfig
from celeriac.exceptions import InvalidArguments, UnknownQueue
from celeriac.testing.recording import RecordingPublisher


@pytest.fixture
def publisher() -> CeleryPublisher:
    app = create_celery_app(CeleryAppConfig.from_mapping({"broker_url": "redis://localhost:1/0"}))
    Registry.install(app, Container())
    return CeleryPublisher(app)


@pytest.fixture
def registry(publisher) -> Registry:
    return Registry(publisher)


def test_a_step_is_checked_when_it_is_made(registry):
    with pytest.raises(InvalidArguments):
        registry.add.s("x")
    with pytest.raises(InvalidArguments):
        registry.fetch_data.s("u").then(registry.process_data, "x")
    with pytest.raises(InvalidArguments, match="missing a required argument: 'label'"):
        registry.process_data.s([1]).then(registry.save_results)


def test_steps_after_another_are_celerys_chain(registry, publisher):
    step = registry.fetch_data.s("u").then(registry.process_data, factor=2).then(registry.save_results, label="x")
    signature = publisher.signature(step)
    assert isinstance(signature, chain)
    assert [(each.task, each.args, each.kwargs) for each in signature.tasks] == [
        ("fetch_data", ("u",), {}),
        ("process_data", (), {"factor": 2}),
        ("save_results", (), {"label": "x"}),
    ]
    assert step.name == "fetch_data | process_data | save_results"


def test_steps_side_by_side_are_celerys_group(registry, publisher):
    step = gather(registry.process_item.s(2), registry.process_item.s(3))
    assert isinstance(publisher.signature(step), group)
    assert step.name == "group(process_item)"


@pytest.mark.proves("S004-18")
@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(10, 3, [3, 3, 3, 1]), (9, 3, [3, 3, 3]), (2, 5, [2]), (3, 1, [1, 1, 1])]
)
def test_items_are_cut_into_chunks(registry, publisher, count, size, lengths):
    step = chunked(registry.aggregate_results, range(count), size=size)
    chunks = [each.args[0] for each in publisher.signature(step).tasks]
    assert [len(chunk) for chunk in chunks] == lengths
    assert [item for chunk in chunks for item in chunk] == list(range(count))


def test_chunks_may_come_from_an_iterator_that_is_read_once(registry):
    step = chunked(registry.aggregate_results, iter(range(4)), size=3)
    assert step.load([3, 3]) == [3, 3]


def test_chunks_of_nothing_are_refused(registry):
    with pytest.raises(ValueError, match=r"^size must be 1 or more, not 0$"):
        chunked(registry.aggregate_results, [1], size=0)
    with pytest.raises(ValueError, match=r"^gather\(\) needs at least one step$"):
        chunked(registry.aggregate_results, [], size=1)
    with pytest.raises(ValueError, match=r"^gather\(\) needs at least one step$"):
        gather()


def test_steps_are_immutable(registry):
    first = registry.fetch_data.s("u")
    longer = first.then(registry.process_data)
    delayed = first.set(countdown=5)
    assert first.sequence() == (first,)
    assert len(longer.sequence()) == 2
    assert first.call.options == {}
    assert delayed.call.options == {"countdown": 5}
    assert delayed.set(queue="parcels").call.options == {"countdown": 5, "queue": "parcels"}


def test_options_of_a_chain_hold_for_its_first_call(registry, publisher):
    step = registry.fetch_data.s("u").then(registry.process_data).set(countdown=5)
    assert [each.options.get("countdown") for each in publisher.signature(step).tasks] == [5, None]


def test_options_of_a_group_hold_for_all(registry, publisher):
    step = gather(registry.process_item.s(2), registry.process_item.s(3)).set(priority=Priority.CRITICAL)
    assert [each.options["priority"] for each in publisher.signature(step).tasks] == [0, 0]


def test_a_step_on_a_queue_that_nobody_reads_is_refused(registry, publisher):
    step = registry.fetch_data.s("u").set(queue="hihg_priority")
    with pytest.raises(UnknownQueue) as refused:
        publisher.signature(step)
    assert str(refused.value) == (
        "no queue is named 'hihg_priority'; declared are background, default, high_priority, parcels."
        " Did you mean 'high_priority'? Add it to CELERY_TASK_QUEUES if it is meant"
    )


def test_secrets_of_every_step_are_masked_for_people(registry, publisher):
    step = registry.add.s(1).then(registry.login, SecretStr("geheim"))
    shown = publisher.signature(step).tasks[1].options
    assert shown["argsrepr"] == "(Ellipsis, SecretStr('**********'))"
    assert shown["kwargsrepr"] == "{}"


def test_what_no_publisher_knows_is_no_step(publisher):
    with pytest.raises(TypeError, match="str is no step that CeleryPublisher can send"):
        publisher.signature("ping")


def test_a_workflow_is_recorded_whole():
    publisher = RecordingPublisher()
    registry = Registry(publisher)
    step = registry.fetch_data.s("u").then(registry.process_data)
    step.delay()
    assert publisher.workflows == [step]
    assert publisher.calls == []
