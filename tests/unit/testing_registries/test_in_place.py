"""Tasks that run in place fail where the real thing would."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from pydantic import SecretStr
from tests.kit.service import Address, BetterError, BrokenError, Colour, Container, Parcel, Registry

from celeriac import TaskState, chunked, gather
from celeriac.exceptions import InvalidArguments, InvalidResult, UnknownQueue
from celeriac.testing.in_place import InPlacePublisher


@pytest.fixture
def container() -> Container:
    return Container()


@pytest.fixture
def registry(container) -> Registry:
    return Registry(InPlacePublisher(Registry, container))


def test_a_task_runs_at_once_and_its_result_is_typed(registry):
    result = registry.ping.delay()
    assert result.state is TaskState.SUCCESS
    assert result.get() == {"result": "pong"}


def test_arguments_travel_through_json(registry):
    parcel = Parcel(1.5, Address(street="x", since=datetime(2026, 1, 1, tzinfo=UTC)))
    arrived = registry.ship.delay(parcel, colour=Colour.RED, tag=uuid4()).get()
    assert arrived == Parcel(3.0, parcel.to)
    assert arrived is not parcel
    assert registry.anything.delay((1, 2)).get() == [1, 2]


def test_coroutines_run(registry):
    assert registry.async_add.delay(2, y=3).get() == 5


def test_wrong_arguments_and_wrong_results_are_refused(registry):
    with pytest.raises(InvalidArguments):
        registry.add.delay("x")
    with pytest.raises(InvalidResult):
        registry.lies.delay().get()
    with pytest.raises(UnknownQueue):
        registry.ping.apply_async(queue="nowhere")


def test_each_task_has_a_scope_that_sees_how_it_ended(registry, container):
    registry.ping.delay()
    assert container.log == ["open", "ValuesController", "commit"]
    container.log.clear()
    registry.fail.delay("broken")
    assert container.log == ["open", "TroubleController", "rollback BrokenError"]


@pytest.mark.proves("S003-15")
def test_a_controller_handles_what_its_tasks_raise_in_one_place(registry):
    assert registry.polished.delay(rescue=True).get() == "rescued"
    with pytest.raises(BetterError, match="lost"):
        registry.polished.delay(rescue=False).get()


def test_errors_are_raised_where_the_result_is_read(registry):
    result = registry.fail.delay("broken")
    assert result.state is TaskState.FAILURE
    with pytest.raises(BrokenError, match="broken"):
        result.get()


def test_retries_run_without_their_wait(registry):
    assert registry.flaky.delay(3).get() == 4
    with pytest.raises(BrokenError):
        registry.flaky_linear.delay().get()
    assert registry.asks.delay(2).get() == 3
    with pytest.raises(BrokenError, match="asked too often"):
        registry.asks.delay(9).get()


def test_secrets_arrive(registry):
    assert registry.login.delay("u", SecretStr("geheim")).get() == 6


def test_workflows_run_step_by_step(registry):
    chain = registry.fetch_data.s("u").then(registry.process_data, factor=2).then(registry.save_results, label="x")
    assert chain.delay().get() == "x=12"
    squares = gather(registry.process_item.s(2), registry.process_item.s(3))
    assert squares.delay().get() == [4, 9]
    assert squares.then(registry.aggregate_results).delay().get() == 13
    sums = chunked(registry.aggregate_results, range(10), size=3)
    assert sums.then(registry.aggregate_results).delay().get() == 45


def test_progress_is_harmless(registry):
    assert registry.process.delay([1, 2]).get() == {"processed": 2}
