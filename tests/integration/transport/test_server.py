"""Commands beside the hot path: whoever asks gets the answer to what they asked."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from celeriac.transport.connector import connector
from celeriac.transport.link import Link
from celeriac.transport.server import RedisServer


def test_a_time_limit_between_a_question_and_its_answer_gives_that_answer_to_nobody_else(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
):
    def struck(*_: Any) -> None:
        raise SoftTimeLimitExceeded

    server = RedisServer(connector(redis_url))
    server.call("SET", "secret", "of another")
    with monkeypatch.context() as patched:
        patched.setattr(Link, "read", struck)
        with pytest.raises(SoftTimeLimitExceeded):
            server.call("GET", "secret")
    assert server.call("ECHO", "mine") == b"mine"
    server.close()
