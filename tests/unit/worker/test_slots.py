"""The memory that a child shares with its parent."""

from __future__ import annotations

import os
import threading
import time

import pytest

from celeriac.worker.lane.slots import Phase, SlotTable


def test_a_slot_shows_what_another_process_runs() -> None:
    table = SlotTable(2)
    table[1].reserve()
    if (child := os.fork()) == 0:
        slot = table[1]
        slot.ready(os.getpid())
        slot.owner = "host:1:abc"
        slot.begin("an-id", "a.task", 7, 2.0, 3.0)
        slot.load(waiting=4, unsettled=5)
        os._exit(0)
    os.waitpid(child, 0)
    slot = table[1]
    assert (slot.pid, slot.owner, slot.task, slot.begun) == (child, "host:1:abc", ("an-id", "a.task"), ["7"])
    assert (slot.busy, slot.starts, slot.done, slot.running) == (True, 1, 0, 1)
    assert (slot.waiting, slot.unsettled, slot.soft, slot.hard) == (4, 5, 2.0, 3.0)
    assert slot.soft_at == pytest.approx(slot.started + 2)
    assert slot.hard_at == pytest.approx(slot.started + 3)
    assert table[0].phase is Phase.FREE


def test_what_ended_is_not_begun_any_more() -> None:
    slot = SlotTable(1)[0]
    slot.begin("id", "name", 1, 1.0, None)
    slot.begin_beside(3, 9)
    assert slot.begun == ["1", "9"]
    slot.end()
    slot.end_beside(3)
    assert (slot.begun, slot.done, slot.running, slot.soft_at) == ([], 2, 0, 0.0)


def test_nothing_begins_while_the_parent_holds_the_child() -> None:
    slot = SlotTable(1)[0]
    slot.hold = True
    begun = threading.Event()

    def begin() -> None:
        slot.begin("id", "name", 1, None, None)
        begun.set()

    thread = threading.Thread(target=begin)
    thread.start()
    while not slot.gated:
        time.sleep(0.001)
    assert slot.begun == []  # what waits at the gate is no suspect
    assert not begun.is_set()
    slot.hold = False
    assert begun.wait(5)
    assert slot.begun == ["1"]
    thread.join()


def test_a_soft_limit_strikes_once_and_only_when_it_is_due() -> None:
    slot = SlotTable(1)[0]
    slot.begin("id", "name", 1, 100.0, None)
    assert slot.soft_limit_struck() is None
    slot.end()
    slot.begin("id", "name", 2, 0.001, None)
    time.sleep(0.002)
    assert slot.soft_limit_struck() == 0.001
    assert slot.soft_limit_struck() is None


def test_a_slot_is_used_again_only_when_it_is_free() -> None:
    table = SlotTable(1)
    first = table.vacant()
    assert first is not None
    first.begin("id", "name", 1, None, None)
    assert table.vacant() is None
    first.free()
    assert table.vacant() is first
    first.reserve()
    assert (first.starts, first.begun, first.phase) == (0, [], Phase.STARTING)


def test_a_record_that_does_not_fit_is_left_out() -> None:
    slot = SlotTable(1)[0]
    slot.record(b"short")
    assert slot.message == b"short"
    slot.record(b"x" * 100_000)
    assert slot.message == b""
