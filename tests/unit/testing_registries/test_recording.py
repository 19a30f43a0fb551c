from __future__ import annotations

import pytest
from pydantic import SecretStr
from tests.kit.service import Registry

from celeriac import Priority, TaskState
from celeriac.exceptions import InvalidArguments, ResultTimeout
from celeriac.testing.recording import RecordingPublisher


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def registry(publisher) -> Registry:
    return Registry(publisher)


def test_calls_are_kept_in_order_with_what_would_travel(registry, publisher):
    registry.add.delay(2, y=3)
    registry.urgent.apply_async(queue="parcels", priority=Priority.LOW)
    first, second = publisher.calls
    assert (first.task, first.args, first.kwargs, first.options) == ("add", [2], {"y": 3}, {})
    assert second.options == {"queue": "parcels", "priority": Priority.LOW}


def test_calls_of_one_task_are_found(registry, publisher):
    registry.ping.delay()
    registry.add.delay(1)
    registry.add.delay(2)
    assert [call.args for call in publisher.calls_of(registry.add)] == [[1], [2]]


@pytest.mark.proves("S001-9", "H-15")
def test_what_the_real_one_refuses_is_refused_and_not_kept(registry, publisher):
    with pytest.raises(InvalidArguments):
        registry.add.delay("x", 1)
    with pytest.raises(TypeError):
        registry.add.delay()
    assert publisher.calls == []


def test_the_result_stays_pending_and_no_test_waits_for_it(registry):
    result = registry.ping.apply_async(task_id="7")
    assert result.id == "7"
    assert result.state is TaskState.PENDING
    assert not result.ready()
    assert result.progress is None
    with pytest.raises(ResultTimeout, match=r"^ping\[7\] has no result after 10 s; its state is "):
        result.get(timeout=10)


def test_a_revocation_is_noted(registry):
    result = registry.ping.delay()
    result.revoke()
    assert result.raw.revoked
    assert result.state is TaskState.REVOKED


def test_secrets_do_not_show_in_the_recorded_repr(registry, publisher):
    registry.login.delay("u", SecretStr("geheim"))
    assert "geheim" not in str(publisher.calls[0].masked)


def test_clearing_forgets(registry, publisher):
    registry.ping.delay()
    publisher.clear()
    assert publisher.calls == []
    assert publisher.workflows == []
