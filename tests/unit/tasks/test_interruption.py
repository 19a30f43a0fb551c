"""Interrupting what runs in a thread: at once, too early, too late, and where it is caught."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from celery.exceptions import Ignore, SoftTimeLimitExceeded, TimeLimitExceeded
from tests.faults.harness.waiting import until

from celeriac.tasks.guarded import failure_of
from celeriac.tasks.interruption import GivenBack, Interrupted, Interruptible


class Ran(threading.Thread):
    """Runs something as a task's code, and keeps what comes of it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self.code = Interruptible()
        self.outcome: Any = None
        self.error: BaseException | None = None
        self._call = call
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.code.run(self._call)
        except BaseException as error:  # noqa: BLE001  it is what the tests are about
            self.error = error

    def ended(self) -> Ran:
        self.join(20)
        assert not self.is_alive()
        return self


def spin() -> None:
    while True:
        time.sleep(0.001)


def test_a_soft_limit_is_raised_in_the_code_and_says_its_seconds():
    ran = Ran(spin)
    ran.code.soft = 2.5
    until(lambda: ran.code.open)
    ran.code.interrupt(SoftTimeLimitExceeded)
    error = ran.ended().error
    assert isinstance(error, SoftTimeLimitExceeded)
    assert error.args == (2.5,)


def test_a_soft_limit_may_be_caught():
    def tidy() -> str:
        with suppress(SoftTimeLimitExceeded):
            spin()
        return "tidy"

    ran = Ran(tidy)
    until(lambda: ran.code.open)
    ran.code.interrupt(SoftTimeLimitExceeded)
    assert ran.ended().outcome == "tidy"


def test_an_end_is_not_caught_as_an_exception_and_is_raised_as_its_reason():
    def stubborn() -> None:
        while True:
            with suppress(Exception):
                spin()

    ran = Ran(stubborn)
    until(lambda: ran.code.open)
    ran.code.reason = TimeLimitExceeded(3)
    ran.code.interrupt(Interrupted)
    assert ran.ended().error is ran.code.reason
    assert ran.code.interrupted


def test_what_was_interrupted_before_it_began_does_not_begin():
    code = Interruptible()
    code.reason = Ignore("terminated")
    with pytest.raises(Ignore):
        code.run(pytest.fail, "it began")


def test_nothing_is_raised_once_the_code_has_ended():
    ran = Ran(lambda: "done").ended()
    ran.code.interrupt(Interrupted)
    assert ran.outcome == "done"


def test_a_task_that_calls_another_is_interrupted_as_a_whole():
    code = Interruptible()
    assert code.run(code.run, lambda: code.open) is True
    assert not code.open


def test_an_interruption_at_the_very_end_reaches_nothing_outside():
    """However the two meet, the thread goes on, with the outcome or with the reason."""
    stray: list[BaseException] = []

    def rounds() -> None:
        for at in range(400):
            code = Interruptible()
            code.reason = None
            codes.append(code)
            try:
                with suppress(Interrupted):
                    code.run(sum, range(at))
                for _ in range(50):  # where a late one would be raised
                    pass
            except BaseException as error:  # noqa: BLE001  it is what the test is about
                stray.append(error)

    codes: list[Interruptible] = [Interruptible()]
    thread = threading.Thread(target=rounds)
    thread.start()
    while thread.is_alive():
        codes[-1].interrupt(Interrupted)
    assert not stray


def test_nobody_takes_an_interruption_for_a_failure():
    assert failure_of("task", Interrupted()) is None
    assert failure_of("task", GivenBack()) is None
