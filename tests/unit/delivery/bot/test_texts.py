from __future__ import annotations

import pytest

from delivery.bot.texts import button, cut, told


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ({"status": "PENDING"}, "<b>add</b> waits for a worker\n<code>7</code>"),
        ({"status": "STARTED"}, "<b>add</b> runs\n<code>7</code>"),
        ({"status": "RETRY"}, "<b>add</b> failed, and will be tried again\n<code>7</code>"),
        ({"status": "REVOKED", "message": "Task was revoked"}, "<b>add</b> was cancelled\n<code>7</code>"),
        ({"status": "SUCCESS", "result": None}, "<b>add</b> is done\n<code>7</code>"),
        ({"status": "SUCCESS", "result": "a < b"}, "<b>add</b> is done\n<code>7</code>\n<pre>a &lt; b</pre>"),
        ({"status": "SUCCESS", "result": [1]}, "<b>add</b> is done\n<code>7</code>\n<pre>[\n 1\n]</pre>"),
        ({"status": "FAILURE", "error": "<no>"}, "<b>add</b> has failed\n<code>7</code>\n<pre>&lt;no&gt;</pre>"),
        (
            {"status": "PROGRESS", "progress": {"current": 2, "total": 4, "message": "a & b"}},
            "<b>add</b> runs\n<code>7</code>\n▓▓▓▓▓░░░░░ 50 % (2 of 4)\na &amp; b",
        ),
        (
            {"status": "PROGRESS", "progress": {"current": 9, "total": 4}},
            "<b>add</b> runs\n<code>7</code>\n▓▓▓▓▓▓▓▓▓▓ 100 % (9 of 4)",
        ),
    ],
)
def test_a_task_is_told_by_what_it_is(view, text):
    assert told({"task_id": "7", **view}, "add") == text


def test_a_task_whose_name_is_not_known_is_told_without():
    assert told({"task_id": "7", "status": "PENDING"}) == "The task waits for a worker\n<code>7</code>"


def test_a_long_text_is_cut_where_telegram_counts():
    assert cut("x" * 3500) == "x" * 3500
    assert cut("x" * 3501) == "x" * 3500 + "... (3501 characters, cut here)"
    assert cut("😀" * 1751) == "😀" * 1750 + "... (1751 characters, cut here)"
    assert cut("x😀", 2) == "x... (2 characters, cut here)"


def test_what_does_not_fit_under_a_button_has_none():
    assert button("Cancel", "cancel:" + "x" * 57) is not None
    assert button("Cancel", "cancel:" + "x" * 58) is None
