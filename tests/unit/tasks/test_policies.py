from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac import Limits, Priority, Retry, TaskState, constant, exponential, jittered, linear
from celeriac.tasks.policies import TaskPolicy


@pytest.mark.proves("S004-15")
def test_exponential_backoff_doubles_from_one_second():
    backoff = exponential(1)
    assert [backoff(retries) for retries in range(4)] == [1, 2, 4, 8]


def test_linear_backoff_grows_by_its_first_wait():
    backoff = linear(60)
    assert [backoff(retries) for retries in range(3)] == [60, 120, 180]


def test_constant_backoff_stays():
    backoff = constant(30)
    assert {backoff(retries) for retries in range(5)} == {30}


@given(st.integers(min_value=0, max_value=10_000))
def test_no_backoff_exceeds_its_maximum_however_often_a_task_failed(retries):
    assert 0 < exponential(1, maximum=600)(retries) <= 600
    assert 0 < linear(60, maximum=3600)(retries) <= 3600


@given(st.integers(min_value=0, max_value=50))
def test_jitter_stays_between_nothing_and_what_it_spreads(retries):
    assert 0 <= jittered(linear(60))(retries) <= linear(60)(retries)


def test_jitter_spreads():
    backoff = jittered(constant(1000))
    assert len({backoff(0) for _ in range(20)}) > 1


@pytest.mark.parametrize("seconds", [0, -1])
@pytest.mark.parametrize("make", [constant, linear, exponential])
def test_a_wait_of_no_time_is_refused(make, seconds):
    with pytest.raises(ValueError, match=rf"^seconds must be more than 0 seconds, not {seconds}$"):
        make(seconds)


def test_a_bare_number_is_a_constant_backoff():
    assert Retry(backoff=30).countdown(5) == 30


def test_without_a_backoff_the_settings_decide():
    assert Retry().countdown(0) is None


def test_a_retry_policy_covers_the_errors_it_names_but_not_the_exceptions_to_them():
    retry = Retry(on=OSError, never_on=FileNotFoundError)
    assert retry.covers(ConnectionError())
    assert not retry.covers(FileNotFoundError())
    assert not retry.covers(ValueError())


def test_fewer_than_no_retries_are_refused():
    with pytest.raises(ValueError, match=r"^max_retries must be 0 or more, not -1$"):
        Retry(max_retries=-1)


def test_a_soft_limit_must_come_before_the_hard_one():
    with pytest.raises(ValueError, match=r"^the soft limit \(9 s\) must be shorter than the hard one \(5 s\)$"):
        Limits(soft=9, hard=5)


@pytest.mark.parametrize("name", ["soft", "hard"])
def test_a_limit_of_no_time_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name} must be more than 0 seconds, not 0$"):
        Limits(**{name: 0})


def test_priorities_have_one_order_and_every_broker_its_own_numbers():
    ordered = [Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL]
    assert sorted(ordered) == ordered
    assert [each.on("amqp") for each in ordered] == [0, 3, 6, 9]
    assert [each.on("pyamqp") for each in ordered] == [0, 3, 6, 9]
    assert [each.on("redis") for each in ordered] == [9, 6, 3, 0]
    assert [each.on("rediss") for each in ordered] == [9, 6, 3, 0]


@pytest.mark.parametrize(
    ("stored", "state"),
    [
        *((state.value, state) for state in TaskState),
        ("RECEIVED", TaskState.PENDING),
        ("REJECTED", TaskState.REVOKED),
        ("IGNORED", TaskState.SUCCESS),
        ("DOWNLOADING", TaskState.PROGRESS),
    ],
)
def test_whatever_celery_stored_is_one_of_seven_states(stored, state):
    assert TaskState.of(stored) is state


@pytest.mark.proves("S004-9")
def test_there_are_seven_states():
    assert [str(state) for state in TaskState] == [
        "PENDING", "STARTED", "PROGRESS", "SUCCESS", "FAILURE", "RETRY", "REVOKED",
    ]  # fmt: skip


def test_a_policy_tells_celery_only_what_was_said():
    assert TaskPolicy().task_options("redis") == {}
    said = TaskPolicy(
        queue="background",
        priority=Priority.HIGH,
        retry=Retry(max_retries=7),
        limits=Limits(soft=1, hard=2),
        rate_limit="10/m",
        expires=60,
        ignore_result=True,
    )
    assert said.task_options("redis") == {
        "queue": "background",
        "priority": 3,
        "max_retries": 7,
        "soft_time_limit": 1,
        "time_limit": 2,
        "rate_limit": "10/m",
        "expires": 60,
        "ignore_result": True,
    }


@pytest.mark.parametrize(
    ("limits", "usual", "said"),
    [
        (Limits(hard=60), 3000, {"soft_time_limit": 60, "time_limit": 60}),
        (Limits(hard=60), 30, {"time_limit": 60}),
        (Limits(hard=60), None, {"time_limit": 60}),
        (Limits(soft=30), 3000, {"soft_time_limit": 30}),
        (Limits(soft=30, hard=60), 3000, {"soft_time_limit": 30, "time_limit": 60}),
        (Limits(), 3000, {}),
    ],
)
def test_a_hard_limit_is_never_put_off_by_the_usual_soft_one(limits, usual, said):
    assert limits.options(usual) == said


def test_no_retries_at_all_can_be_said():
    assert TaskPolicy(retry=Retry(max_retries=0)).task_options("redis") == {"max_retries": 0}


def test_policies_are_frozen_and_changed_by_copying():
    for policy, name in ((Retry(), "max_retries"), (Limits(), "soft"), (TaskPolicy(), "queue")):
        with pytest.raises(FrozenInstanceError):
            setattr(policy, name, 1)
    assert TaskPolicy(queue="a").but(queue="b") == TaskPolicy(queue="b")
