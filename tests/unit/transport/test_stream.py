"""What the history hears, in entries that are short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celeriac.transport.stream import LONGEST, MOST_PARTS, HistoryStream, in_portions


@given(st.lists(st.integers(0, LONGEST * 2).map(lambda size: b"x" * size), max_size=20))
def test_parts_are_told_once_each_in_their_order_and_in_short_entries(parts):
    portions = list(in_portions(parts))
    assert [part for portion in portions for part in portion] == parts
    for portion in portions:
        assert portion
        assert len(portion) == 1 or sum(map(len, portion)) <= LONGEST


def test_very_many_small_parts_are_several_entries():
    assert [len(portion) for portion in in_portions(["x"] * (2 * MOST_PARTS + 1))] == [MOST_PARTS, MOST_PARTS, 1]


def test_a_command_is_rendered_as_redis_reads_it():
    stream = HistoryStream({"global_keyprefix": "mine:"}, most=7)
    parts = stream.add(b"event").split(b"\r\n")
    assert parts[0] == b"*8"
    assert (
        parts[2::2]
        == [b"XADD", b"mine:celeriac.history", b"MAXLEN", b"~", b"7", b"*", b"e", b"event", b""][: len(parts[2::2])]
    )


def test_no_stream_where_no_history_is_kept():
    assert HistoryStream.of({}, {}) is None
    assert HistoryStream.of({"history_enabled": True, "history_backlog": 5}, {}) is not None
