"""The publisher's small parts: ids, shown arguments, the breaker, the report of many calls."""

from __future__ import annotations

import os
import threading
import tracemalloc
from typing import Any
from uuid import UUID

import pytest
from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st
from kombu import Exchange, Queue
from kombu import binding as bound

from celeriac.exceptions import InvalidArguments
from celeriac.tasks.report import BulkReport
from celeriac.transport.publishing.breaker import FIRST_PAUSE, LAST_PAUSE, Breaker
from celeriac.transport.publishing.budget import asked_now, time_left
from celeriac.transport.publishing.ids import block_of_ids, fresh_id
from celeriac.transport.publishing.message import Layout
from celeriac.transport.publishing.sender import pauses_of
from celeriac.transport.publishing.shown import shown_args, shown_kwargs

# -- ids


def test_ids_are_random_uuids():
    ids = [fresh_id() for _ in range(1000)] + block_of_ids(b"seed", 0, 1000)
    assert len(set(ids)) == 2000
    for each in ids:
        assert str(UUID(each)) == each
        assert UUID(each).version == 4
        assert UUID(each).variant == "specified in RFC 4122"


def test_a_block_of_ids_can_be_made_again_and_no_other_is_like_it():
    assert block_of_ids(b"seed", 7, 50) == block_of_ids(b"seed", 7, 100)[:50]
    assert not set(block_of_ids(b"seed", 7, 50)) & set(block_of_ids(b"seed", 8, 50))
    assert not set(block_of_ids(b"seed", 7, 50)) & set(block_of_ids(b"other", 7, 50))


def test_a_forked_child_has_ids_of_its_own():
    fresh_id()  # so that some are in stock
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, " ".join(fresh_id() for _ in range(100)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = set(os.read(reading, 1 << 16).decode().split())
    os.close(reading)
    os.close(writing)
    assert len(theirs) == 100
    assert not theirs & {fresh_id() for _ in range(100)}


# -- how arguments are shown

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(PLAIN, max_size=6), st.integers(1, 200))
def test_positional_arguments_are_shown_as_celery_shows_them(args, size):
    assert shown_args(args, size, 3) == saferepr(tuple(args), size, 3)


@given(st.dictionaries(st.text(), PLAIN, max_size=6), st.integers(1, 200))
def test_keyword_arguments_are_shown_as_celery_shows_them(kwargs, size):
    assert shown_kwargs(kwargs, size, 3) == saferepr(kwargs, size, 3)


# -- the breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_at_a_failure_lets_one_try_and_closes_at_a_success():
    clock = Clock()
    breaker = Breaker(clock)
    assert breaker.closed
    assert breaker.refusal() is None
    breaker.failed("it was refused")
    assert not breaker.closed
    assert breaker.refusal() == f"circuit open, next try in {FIRST_PAUSE:.1f} s; last error: it was refused"
    clock.now += FIRST_PAUSE
    assert breaker.refusal() is None  # the probe
    assert breaker.refusal() is not None
    breaker.succeeded()
    assert breaker.closed
    assert breaker.refusal() is None


def test_pauses_grow_to_a_bound_and_begin_anew_after_a_success():
    clock = Clock()
    breaker = Breaker(clock)
    pauses: list[float] = []
    for _ in range(5):
        breaker.failed("x")
        start = clock.now
        while breaker.refusal() is not None:
            clock.now += 0.25
        pauses.append(clock.now - start)
    assert pauses == [FIRST_PAUSE, FIRST_PAUSE * 2, LAST_PAUSE, LAST_PAUSE, LAST_PAUSE]
    breaker.succeeded()
    breaker.failed("x")
    assert f"{FIRST_PAUSE:.1f} s" in (breaker.refusal() or "")


def test_a_probe_that_never_tells_is_followed_by_another():
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed("x")
    for _ in range(3):
        clock.now += LAST_PAUSE
        assert breaker.refusal() is None


def test_of_many_threads_one_is_the_probe():
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed("x")
    clock.now += LAST_PAUSE
    answers: list[str | None] = []
    threads = [threading.Thread(target=lambda: answers.append(breaker.refusal())) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count(None) == 1


# -- budgets


def test_time_counts_from_when_somebody_asked():
    assert time_left(2.0) == 2.0
    with asked_now():
        first = time_left(2.0)
        assert first <= 2.0
        assert time_left(2.0) <= first
    assert time_left(2.0) == 2.0


@pytest.mark.parametrize(
    ("policy", "pauses"),
    [
        (None, []),
        ({}, [0, 0.2, 0.4]),
        ({"max_retries": 1, "interval_start": 0.3}, [0.3]),
        ({"max_retries": 4, "interval_start": 0, "interval_step": 0.5, "interval_max": 1}, [0, 0.5, 1, 1]),
        ({"max_retries": 0}, []),
    ],
)
def test_tries_follow_celerys_policy(policy, pauses):
    assert list(pauses_of(policy)) == pytest.approx(pauses)


def test_a_policy_without_end_has_none():
    assert next(pauses_of({"max_retries": None, "interval_start": 1})) == 1


# -- where messages go


@pytest.mark.parametrize(
    ("options", "priority", "key"),
    [
        ({}, 0, "q"),
        ({}, 2, "q"),
        ({}, 3, "q\x06\x163"),
        ({}, 99, "q\x06\x169"),
        ({}, -5, "q"),
        ({}, "high", "q"),
        ({}, None, "q"),
        ({"sep": ":", "priority_steps": [0, 5]}, 7, "q:5"),
        ({"global_keyprefix": "p."}, 6, "p.q\x06\x166"),
    ],
)
def test_the_list_of_a_queue_and_a_priority(options, priority, key):
    assert Layout(options).key("q", priority) == key


ELSEWHERE = Exchange("elsewhere")
BINDINGS: Any = [bound(ELSEWHERE, routing_key="a"), bound(ELSEWHERE, routing_key="b")]  # which the stubs do not know


@pytest.mark.parametrize(
    "queue",
    [
        Queue("q", ELSEWHERE, routing_key="q", expires=5),
        Queue("q", ELSEWHERE, routing_key="q", queue_arguments={"x-expires": 5000}),
        Queue("q", Exchange("all", type="fanout")),
        Queue("q", Exchange("some", type="topic"), routing_key="a.*"),
        Queue("q", BINDINGS),
    ],
    ids=["expires", "x-expires", "fanout", "topic", "bindings"],
)
def test_queues_that_are_more_than_a_list_are_kombus(queue):
    assert Layout({}).destination("", "q", [queue]) is None


@pytest.mark.parametrize(
    ("exchange", "routing_key", "declare"),
    [
        ("elsewhere", "q", [Queue("q")]),
        ("", "other", [Queue("q")]),
        ("", "q", []),
        ("", "q", None),
        ("", "", [Queue("")]),
    ],
)
def test_other_ways_to_a_queue_are_kombus(exchange, routing_key, declare):
    assert Layout({}).destination(exchange, routing_key, declare) is None


# -- the report


def report_of(*steps: tuple[str, int, int]) -> BulkReport[object]:
    report: BulkReport[object] = BulkReport("t", lambda task_id: task_id)  # type: ignore[arg-type,return-value]
    for what, start, stop in steps:
        if what == "bad":
            report.note_refused(start, InvalidArguments(task="t", signature="()", problem="x"))
        else:
            getattr(report, f"note_{what}")(start, stop)
        report.rest = max(report.rest, stop)
    return report


def test_a_report_tells_ranges_apart():
    report = report_of(("sent", 0, 1000), ("sent", 1000, 1500), ("unsure", 1500, 2000), ("sent", 2500, 3000))
    report.rest = 3500
    assert report.sent == (range(1500), range(2500, 3000))
    assert report.uncertain == (range(1500, 2000),)
    assert report.unsent == (range(2000, 2500), range(3000, 3500))
    assert len(report) == 2000
    assert len(list(report.ids())) == 2000


def test_refused_items_count_as_nothing_else():
    report = report_of(("bad", 0, 1), ("bad", 2, 3), ("sent", 1, 5), ("bad", 5, 6), ("bad", 6, 7))
    assert len(report) == 3
    assert list(report.ids()) == [report.id_of(position) for position in (1, 3, 4)]
    assert report.unsent == ()
    assert report.refused_count == 4
    assert [each.position for each in report.refused] == [0, 2, 5, 6]


def test_ids_of_any_positions():
    report = report_of()
    assert report.ids_between(1990, 3010) == [report.id_of(position) for position in range(1990, 3010)]
    assert report.ids_between(5, 5) == []


def test_a_report_of_a_million_tasks_is_small():
    tracemalloc.start()
    try:
        report = report_of(*(("sent", start, start + 1000) for start in range(0, 1_000_000, 1000)))
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(report) == 1_000_000
    assert kept < 100_000
