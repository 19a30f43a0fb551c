"""Cursors, good and bad."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.exceptions import InvalidCursor
from celeriac.history.cursor import read_cursor, write_cursor


@given(
    st.integers(0, 10**15),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=99),
)
def test_a_cursor_is_read_as_it_was_written(created, task_id):
    assert read_cursor(write_cursor(created, task_id)) == (created, task_id)


@given(st.text())
def test_any_other_text_is_refused_or_is_one(text):
    try:
        created, task_id = read_cursor(text)
    except InvalidCursor:
        return
    assert read_cursor(write_cursor(created, task_id)) == (created, task_id)


@pytest.mark.parametrize("cursor", ["", "x", "MTIz", "é", "A" * 5000])
def test_what_is_no_cursor_is_an_error(cursor):
    with pytest.raises(InvalidCursor, match="is no cursor"):
        read_cursor(cursor)
