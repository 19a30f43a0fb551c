"""What waits to be stored: in order, one state a task, nothing forgotten."""

from __future__ import annotations

from celeriac.transport.results.entry import Entry
from celeriac.transport.results.queue import BATCH_ENTRIES, EntryQueue


def entry(key: str, position: int, *, success: bool = True, size: int = 3) -> Entry:
    return Entry(key.encode(), b"x" * size, 60, success, position=position)


def positions(entries: list[Entry]) -> list[int]:
    return [each.position for each in entries]


def test_a_later_state_takes_the_place_of_one_that_waits():
    queue = EntryQueue()
    queue.put(entry("a", 1, success=False))
    queue.put(entry("b", 2))
    queue.put(entry("a", 3, size=5))
    assert (queue.oldest(), queue.size) == (2, 8)
    assert positions(queue.take()) == [2, 3]


def test_nothing_takes_the_place_of_a_success():
    queue = EntryQueue()
    queue.put(entry("a", 1))
    assert queue.superseded(entry("a", 2, success=False))
    assert not queue.superseded(entry("a", 2))


def test_what_is_under_way_counts_until_it_is_settled():
    queue = EntryQueue()
    queue.put(entry("a", 1))
    batch = queue.take()
    assert (len(queue), queue.oldest(), queue.holds(b"a")) == (1, 1, True)
    queue.put(entry("b", 2))
    queue.settle()
    assert (len(queue), queue.oldest(), queue.size, queue.holds(b"a")) == (1, 2, 3, False)
    assert positions(batch) == [1]


def test_what_was_not_stored_waits_again_before_what_came_later():
    queue = EntryQueue()
    for position, key in enumerate("abc", 1):
        queue.put(entry(key, position))
    batch = queue.take()
    queue.put(entry("d", 4))
    queue.settle(batch[1:])
    assert (queue.oldest(), queue.size) == (2, 9)
    assert positions(queue.take()) == [2, 3, 4]


def test_what_was_not_stored_gives_way_to_a_later_state_of_its_task_but_a_success_to_a_success_alone():
    queue = EntryQueue()
    queue.put(entry("report", 1, success=False))
    queue.put(entry("success", 2))
    batch = queue.take()
    queue.put(entry("report", 3))
    queue.put(entry("success", 4, success=False))
    queue.settle(batch)
    assert positions(queue.take()) == [2, 3]
    queue.settle()
    assert (len(queue), queue.size) == (0, 0)


def test_a_batch_is_bounded():
    queue = EntryQueue()
    for position in range(BATCH_ENTRIES + 5):
        queue.put(entry(str(position), position + 1))
    assert len(queue.take()) == BATCH_ENTRIES
    queue.settle()
    assert (queue.waiting, queue.oldest()) == (5, BATCH_ENTRIES + 1)
    queue.put(entry("large", 9_999, size=9 << 20))
    queue.put(entry("after", 10_000))
    assert len(queue.take()) == 5
    queue.settle()
    assert positions(queue.take()) == [9_999]


def test_what_is_encoded_late_leaves_no_trace_in_the_size():
    queue = EntryQueue()
    late = entry("a", 1, size=0)
    queue.put(late)
    queue.take()
    late.payload = b"x" * 100  # as when it is sent
    queue.settle()
    assert queue.size == 0

    queue.put(late)
    queue.take()
    late.payload = b""
    queue.settle([late])
    assert queue.size == 100
    queue.take()
    queue.settle()
    assert queue.size == 0
