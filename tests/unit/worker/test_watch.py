"""The thread that looks at what runs when it is due."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import pytest
from tests.faults.harness.waiting import until

from celeriac.worker.resident.watch import Watch


class Seen:
    """Stands for a run: says when it is due, and notes when it was looked at."""

    def __init__(self, due: float | None) -> None:
        self.due = due
        self.request: Any = None
        self.looks: list[float] = []

    def look(self, now: float) -> None:
        if self.due is not None and now >= self.due:
            self.looks.append(now)
            self.due = None


@pytest.fixture
def watch() -> Generator[Any]:
    watch: Any = Watch()
    yield watch
    watch.stop()


def test_each_is_looked_at_when_it_is_due_and_not_before(watch):
    now = time.monotonic()
    later, sooner, never = Seen(now + 0.4), Seen(now + 0.1), Seen(None)
    for seen in (never, later, sooner):
        watch.begin(seen)
    until(lambda: later.looks and sooner.looks)
    assert later.looks[0] >= now + 0.4
    assert sooner.looks[0] >= now + 0.1
    assert not never.looks


def test_what_is_due_after_all_is_seen_once_somebody_says_so(watch):
    seen = Seen(None)
    watch.begin(seen)
    seen.due = time.monotonic()
    watch.wake()
    until(lambda: seen.looks)


def test_what_has_ended_is_not_looked_at(watch):
    ended, other = Seen(time.monotonic() + 0.1), Seen(time.monotonic() + 0.3)
    watch.begin(ended)
    watch.begin(other)
    watch.end(ended)
    until(lambda: other.looks)
    assert not ended.looks


def test_one_that_cannot_be_seen_to_keeps_nobody_from_their_turn(watch):
    class Broken(Seen):
        def look(self, now: float) -> None:
            self.due = None
            msg = "no"
            raise ValueError(msg)

    broken, other = Broken(time.monotonic()), Seen(time.monotonic() + 0.2)
    broken.request = Seen(None)
    broken.request.id = "an-id"
    watch.begin(broken)
    watch.begin(other)
    until(lambda: other.looks)
