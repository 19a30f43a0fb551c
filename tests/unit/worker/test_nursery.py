"""The process that forks children."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable

import pytest

from celeriac.worker.lane.nursery import Birth, Death, Nursery


def obedient(slot: int, pipe: socket.socket) -> int:
    pipe.sendall(str(slot).encode())
    return int(pipe.recv(10) or 0)


def news_of(nursery: Nursery, kind: type) -> Birth | Death:
    while True:
        for each in nursery.news():
            if isinstance(each, kind):
                return each


@pytest.fixture
def nursery() -> Nursery:
    return Nursery(obedient)


def test_children_live_in_their_slots_and_their_ends_are_told(nursery: Nursery) -> None:
    pipe = nursery.order(5)
    birth = news_of(nursery, Birth)
    assert birth.slot == 5
    assert pipe.recv(10) == b"5"
    pipe.sendall(b"7")
    assert news_of(nursery, Death) == Death(5, 7)
    nursery.close()


def test_a_killed_child_is_told_with_its_signal(nursery: Nursery) -> None:
    pipe = nursery.order(0)
    birth = news_of(nursery, Birth)
    assert isinstance(birth, Birth)
    pipe.recv(10)
    os.kill(birth.pid, signal.SIGKILL)
    assert news_of(nursery, Death) == Death(0, -signal.SIGKILL)
    nursery.close()


def test_closing_ends_children_that_are_left(nursery: Nursery) -> None:
    pipe = nursery.order(0)
    pipe.recv(10)
    nursery.close()
    assert pipe.recv(10) == b""  # its other end is closed


def test_a_nursery_that_is_gone_says_so(nursery: Nursery) -> None:
    os.kill(nursery.pid, signal.SIGKILL)
    with pytest.raises(EOFError):
        nursery.news()


def test_a_child_has_none_of_the_locks_that_threads_of_the_parent_hold() -> None:
    lock = threading.Lock()

    def child(slot: int, pipe: socket.socket) -> int:
        return int(lock.acquire(timeout=1))

    nursery = _before(lock, child)
    pipe = nursery.order(0)
    assert news_of(nursery, Death) == Death(0, 1)
    pipe.close()
    nursery.close()


def _before(lock: threading.Lock, child: Callable[[int, socket.socket], int]) -> Nursery:
    """The nursery is made first, and the lock taken after that, as a worker's threads would."""
    nursery = Nursery(child)
    lock.acquire()
    return nursery
