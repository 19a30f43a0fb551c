"""Facts come late, twice and in any order, and make the same record."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac import TaskState
from celeriac.history.events import facts_of
from celeriac.history.facts import MOST_RUNS, Facts, join
from celeriac.history.records import HistoryState
from celeriac.history.story import record_of, state_of

ID = "5f361514-e9fa-440a-ade3-0d5bfe98639d"


def published(retries: int = 0, **said: Any) -> bytes:
    return json.dumps(
        {"k": "q", "t": "add", "u": "default", "n": retries, **said, "c": [[ID, ID, None, [[1], {}]]]}
    ).encode()


def worked(
    key: str, retries: int, *, started: int | None, ended: int | None, end: str | None, meta: Any = None
) -> bytes:
    row = [ID, key, retries, 0 if ended is None else started, started, ended, end, None, meta]
    return json.dumps({"k": "w", "w": "celery@here", "p": 1, "c": [row]}).encode()


def dead() -> bytes:
    return json.dumps({"k": "d", "i": ID, "t": "add", "u": "default", "r": "rejected", "m": "no", "l": "x:1"}).encode()


EVENTS: dict[str, tuple[int, bytes]] = {
    "published": (1000, published()),
    "in hand": (1500, worked("", 0, started=None, ended=None, end=None)),
    "started": (2000, worked("a1", 0, started=0, ended=None, end=None)),
    "progress": (2500, worked("a1", 0, started=None, ended=0, end="PROGRESS", meta={"result": {"current": 1}})),
    "retried": (3000, worked("a1", 0, started=None, ended=0, end="RETRY")),
    "again": (3001, published(1)),
    "started again": (4000, worked("b1", 1, started=0, ended=None, end=None)),
    "lost": (
        4500,
        worked("?1:FAILURE", 1, started=None, ended=0, end="FAILURE", meta={"result": {"exc_type": "Lost"}}),
    ),
    "failed": (5000, worked("b2", 1, started=90, ended=0, end="FAILURE", meta={"result": {"exc_type": "Oops"}})),
    "done": (6000, worked("b3", 1, started=90, ended=0, end="SUCCESS", meta={"result": 7})),
    "dead": (7000, dead()),
}


def told(*names: str) -> Facts:
    facts: Facts = {}
    for name in names:
        for _, more in facts_of(*EVENTS[name]):
            facts = join(facts, more)
    return facts


@pytest.mark.proves("S001-19")
@given(st.lists(st.sampled_from(sorted(EVENTS)), min_size=1), st.randoms(use_true_random=False))
def test_order_and_number_of_events_make_no_difference(names, random):
    shuffled = [*names, *random.choices(names, k=3)]
    random.shuffle(shuffled)
    assert record_of(ID, told(*shuffled)) == record_of(ID, told(*names))


@given(*[st.lists(st.sampled_from(sorted(EVENTS)), min_size=1)] * 3)
def test_it_makes_no_difference_in_what_company_they_come(one, two, three):
    a, b, c = told(*one), told(*two), told(*three)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, b) == join(b, a)
    assert join(a, a) == a


@given(st.lists(st.sampled_from(sorted(EVENTS))))
def test_a_success_is_never_taken_back(names):
    assert state_of(told(*names, "done")) is HistoryState.SUCCEEDED


@pytest.mark.parametrize(
    ("names", "state"),
    [
        (["published"], HistoryState.QUEUED),
        (["published", "in hand"], HistoryState.RECEIVED),
        (["published", "started"], HistoryState.STARTED),
        (["published", "started", "progress"], HistoryState.PROGRESS),
        (["published", "started", "retried"], HistoryState.RETRIED),
        (["published", "started", "retried", "again"], HistoryState.RETRIED),
        (["again", "started again"], HistoryState.STARTED),
        (["again", "started again", "lost"], HistoryState.FAILED),
        (["again", "lost", "failed", "dead"], HistoryState.DEAD),
        (["dead"], HistoryState.DEAD),
    ],
)
def test_the_state_is_the_newest_that_is_known(names, state):
    assert state_of(told(*names)) is state


def test_a_dead_letter_that_was_sent_back_runs_again():
    facts = told("published", "dead")
    for _, more in facts_of(8000, worked("c1", 0, started=0, ended=None, end=None)):
        facts = join(facts, more)
    assert state_of(facts) is HistoryState.STARTED


def test_the_record_tells_it_all():
    record = record_of(ID, told("published", "started", "retried", "again", "started again", "lost", "done"))
    assert (record.name, record.queue, record.args, record.kwargs) == ("add", "default", [1], {})
    assert record.result == 7
    assert record.retries == 1
    assert [(each.number, each.state) for each in record.attempts] == [
        (1, HistoryState.RETRIED),
        (2, HistoryState.FAILED),
        (2, HistoryState.SUCCEEDED),
    ]
    assert record.queued_at is not None
    assert record.ended_at is not None
    assert (record.ended_at - record.queued_at).total_seconds() == 5


def test_of_very_many_runs_the_latest_are_remembered():
    facts: Facts = {}
    for number in range(MOST_RUNS + 10):
        for _, more in facts_of(number * 1000, worked(f"r{number}", number, started=0, ended=None, end=None)):
            facts = join(facts, more)
    assert len(facts.get("runs", {})) == MOST_RUNS
    assert record_of(ID, facts).retries == MOST_RUNS + 9


@given(st.binary() | st.dictionaries(st.text(), st.integers() | st.text()).map(lambda said: json.dumps(said).encode()))
def test_an_event_that_nobody_can_read_tells_nothing(event):
    assert list(facts_of(0, event)) == []


@pytest.mark.proves("S004-9")
def test_every_state_has_one_of_celerys_and_every_one_of_those_is_met():
    assert {state.celery for state in HistoryState} == set(TaskState)
    for state in TaskState:
        assert all(each.celery is state for each in HistoryState.of(state))
