"""Threads for tasks."""

from __future__ import annotations

import threading

from tests.faults.harness.waiting import until

from celeriac.worker.resident.hands import Hands


def test_as_many_jobs_run_at_once_as_there_are_threads_and_no_more():
    hands, gate, begun = Hands(2), threading.Event(), list[int]()

    def job() -> None:
        begun.append(1)
        gate.wait(20)

    for _ in range(3):
        hands.submit(job)
    until(lambda: len(begun) == 2)
    assert len(hands.threads) == 2
    gate.set()
    until(lambda: len(begun) == 3)


def test_a_thread_that_is_free_is_used_again():
    hands, done = Hands(5), list[int]()
    hands.submit(lambda: done.append(1))
    until(lambda: hands._idle._value)  # it says when the thread waits again
    hands.submit(lambda: done.append(2))
    until(lambda: done == [1, 2])
    assert len(hands.threads) == 1


def test_what_had_not_begun_is_dropped():
    hands, gate, begun = Hands(1), threading.Event(), list[str]()
    running = threading.Event()

    def first() -> None:
        running.set()
        gate.wait(20)
        begun.append("first")

    hands.submit(first)
    running.wait(20)
    hands.submit(lambda: begun.append("second"))
    hands.drop()
    gate.set()
    for thread in hands.threads:
        thread.join(20)
    assert begun == ["first"]


def test_an_error_costs_no_thread():
    hands, done = Hands(1), list[int]()

    def wrong() -> None:
        raise SystemExit

    hands.submit(wrong)
    hands.submit(lambda: done.append(1))
    until(lambda: done == [1])


def test_what_is_forgotten_does_not_run_and_what_comes_later_does():
    hands, gate, begun, running = Hands(1), threading.Event(), list[str](), threading.Event()

    def first() -> None:
        running.set()
        gate.wait(20)

    hands.submit(first)
    running.wait(20)
    hands.submit(lambda: begun.append("forgotten"))
    hands.forget()
    hands.submit(lambda: begun.append("later"))
    gate.set()
    until(lambda: begun == ["later"])


def test_threads_that_shall_end_do_so_though_all_else_was_forgotten():
    hands, gate, running = Hands(1), threading.Event(), threading.Event()

    def first() -> None:
        running.set()
        gate.wait(20)

    hands.submit(first)
    running.wait(20)
    hands.drop()
    hands.forget()
    gate.set()
    for thread in hands.threads:
        thread.join(20)
        assert not thread.is_alive()
