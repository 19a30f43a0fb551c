"""Time limits, which Celery enforces in the prefork pool."""

from __future__ import annotations

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from celeriac import Limits, TaskState

pytestmark = pytest.mark.parametrize("pool", ["prefork"], indirect=True)
WAIT = 20


@pytest.mark.proves("S002-7")
def test_at_the_soft_limit_a_task_sees_an_exception(registry):
    result = registry.slow.delay(30)
    with pytest.raises(SoftTimeLimitExceeded):
        result.get(timeout=WAIT)
    assert result.state is TaskState.FAILURE


@pytest.mark.proves("S002-7")
def test_at_the_soft_limit_a_coroutine_is_unwound(registry, tmp_path):
    path = tmp_path / "unwound"
    with pytest.raises(SoftTimeLimitExceeded):
        registry.unwinds.delay(path).get(timeout=WAIT)
    assert path.read_text() == "unwound\n"
    assert registry.async_add.delay(2, y=3).get(timeout=WAIT) == 5


def test_within_the_limit_nothing_happens(registry):
    assert registry.slow_async.delay(0.1, "key").get(timeout=WAIT) == "key"


@pytest.mark.proves("S002-7")
def test_at_the_hard_limit_the_process_is_killed_and_the_pool_goes_on(registry):
    for result in (registry.stubborn.delay(), registry.unaware.delay()):
        with pytest.raises(TimeLimitExceeded):
            result.get(timeout=WAIT)
        assert result.state is TaskState.FAILURE
    assert registry.ping.delay().get(timeout=WAIT) == {"result": "pong"}


def test_a_call_may_say_its_own_limit(registry):
    result = registry.sleep.apply_async((60,), limits=Limits(hard=1))
    with pytest.raises((TimeLimitExceeded, SoftTimeLimitExceeded)):
        result.get(timeout=WAIT)
