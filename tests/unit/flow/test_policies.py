"""What policies refuse where they are written."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from celeriac import Concurrency, RateLimit, task


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_lets_nothing_run_is_refused(limit):
    with pytest.raises(ValueError, match=rf"^limit must be 1 or more, not {limit}$"):
        Concurrency(limit)


@pytest.mark.parametrize("key", ["", "user-id", "user id", "order.", ".id", "order..id"])
@pytest.mark.parametrize("policy", [lambda key: Concurrency(1, key=key), lambda key: RateLimit("1/s", key=key)])
def test_a_key_that_can_name_no_argument_is_refused(policy, key):
    with pytest.raises(
        ValueError, match=r"^a key is a parameter's name, or a path into it such as 'order.customer_id', not"
    ):
        policy(key)


@pytest.mark.parametrize("seconds", [0, -5])
def test_a_deadline_of_no_time_is_refused(seconds):
    with pytest.raises(ValueError, match=rf"^deadline must be more than 0 seconds, not {seconds}$"):
        task("late", deadline=seconds)


def test_policies_say_what_they_keep():
    assert str(Concurrency(3, key="account_id")) == "3 at once for each account_id"
    assert str(RateLimit("10/m", key="user_id")) == "10/m for each user_id for all workers together"


def test_policies_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Concurrency(1).limit = 2  # type: ignore[misc]
