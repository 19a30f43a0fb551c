"""No password of a URL is shown."""

from __future__ import annotations

import json

import pytest

from celeriac.telemetry.logging import mask_url


@pytest.mark.proves("H-9")
@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://user:hunter2@cache:6379/0", "redis://user:***@cache:6379/0"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("amqp://app:a%40b@mq//", "amqp://app:***@mq//"),
        ("redis://:has@at:and/slash@cache/0", "redis://:***@cache/0"),
        ("redis+sentinel://u:p@a:1;redis+sentinel://u:q@b:2", "redis+sentinel://u:***@a:1;redis+sentinel://u:***@b:2"),
        ("cannot reach rediss://u:p@h:6379 (timed out)", "cannot reach rediss://u:***@h:6379 (timed out)"),
        ("redis://cache/0?password=hunter2&db=1", "redis://cache/0?password=***&db=1"),
        ("POSTGRESQL+PSYCOPG://u:p@h/db", "POSTGRESQL+PSYCOPG://u:***@h/db"),
        ("ConnectionError('redis://:p@h')", "ConnectionError('redis://:***@h')"),
        (r"redis://:quo\"te@h", "redis://:***@h"),
    ],
)
def test_a_password_is_replaced(text: str, masked: str) -> None:
    assert mask_url(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "redis://localhost:6379/0",
        "mail from a@b.c about redis://localhost:6379/0, and another from d@e.f",
        '{"url":"redis://localhost:6379/0","email":"a@b.c"}',
        "https://example.org/a:b@c is a path",
        "12:30@noon",
        "",
    ],
)
def test_text_without_a_password_stays_as_it_is(text: str) -> None:
    assert mask_url(text) == text


def test_a_line_of_json_stays_json() -> None:
    line = json.dumps({"urls": ["redis://u:p@h/0", "amqp://u:p@h//"], "mail": "a@b.c"}, separators=(",", ":"))
    assert json.loads(mask_url(line)) == {"urls": ["redis://u:***@h/0", "amqp://u:***@h//"], "mail": "a@b.c"}
