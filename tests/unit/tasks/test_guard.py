"""Calls that would block what they run in are refused, with the call to use instead."""

from __future__ import annotations

import asyncio

import pytest
from tests.kit.service import REGISTRY, Container, Registry

from celeriac.exceptions import BlockingCall, ResultTimeout
from celeriac.testing.in_place import InPlacePublisher
from celeriac.testing.recording import RecordingPublisher


@pytest.fixture
def registry() -> Registry:
    return Registry(RecordingPublisher())


async def in_a_loop(call):
    return call()


@pytest.mark.proves("H-12")
@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda r: r.ping.delay(), "ping.delay() would block the running event loop. Use await ping.adelay()"),
        (
            lambda r: r.ping.apply_async(),
            "ping.apply_async() would block the running event loop. Use await ping.s(...).set(...).adelay()",
        ),
        (lambda r: r.ping.s().delay(), "ping: delay() would block the running event loop. Use await adelay()"),
    ],
)
def test_sending_inside_a_running_event_loop_is_refused(registry, call, text):
    with pytest.raises(BlockingCall) as refused:
        asyncio.run(in_a_loop(lambda: call(registry)))
    assert str(refused.value) == text
    assert isinstance(refused.value, RuntimeError)
    assert registry.ping.publisher.calls == []


@pytest.mark.proves("H-12")
def test_the_call_for_coroutines_sends(registry):
    async def main():
        result = await registry.ping.adelay()
        with pytest.raises(BlockingCall) as refused:
            result.get()
        return str(refused.value)

    assert asyncio.run(main()) == "ping: get() would block the running event loop. Use await aget()"
    assert [call.task for call in registry.ping.publisher.calls] == ["ping"]


def test_arguments_are_checked_before_a_coroutine_waits_for_anything(registry):
    coroutine = registry.add.adelay("x")
    with pytest.raises(TypeError, match="valid integer"):
        coroutine.send(None)


def test_waiting_for_a_result_inside_a_task_is_refused():
    REGISTRY["registry"] = Registry(RecordingPublisher())
    in_place = Registry(InPlacePublisher(Registry, Container()))
    with pytest.raises(BlockingCall) as refused:
        in_place.waits_for_another.delay().get()
    assert str(refused.value) == (
        "ping: get() would block the worker slot that runs task 'waits'."
        " Use .then(...) to hand the result to another task"
    )


def test_a_coroutine_may_not_wait_for_a_result_inside_a_task_either(registry):
    async def main():
        await (await registry.ping.adelay()).aget(timeout=0.01)

    with pytest.raises(ResultTimeout):
        asyncio.run(main())
