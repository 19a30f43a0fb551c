"""``celeriac keys`` and ``celeriac audit`` as people run them, on a real Redis."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from tests.integration.security.conftest import opened

from celeriac.exceptions import NotAuthenticated
from celeriac.security.api_keys import ApiKeys
from celeriac.security.audit import AuditLog, AuditRecord
from celeriac.security.callers import Caller, Method

pytestmark = pytest.mark.xdist_group("security")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(url: str) -> Run:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    env = {**os.environ, "REDIS_URL": url, "ENVIRONMENT": "test", "PYTHONPATH": path, "COLUMNS": "200"}

    def celeriac(group: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "celeriac", group, "--app=tests.kit.app", *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    return celeriac


def identify(url: str, text: str) -> Caller:
    async def story() -> Caller:
        async with opened(url) as server:
            return await ApiKeys(server, fresh=0).identify(text)

    return asyncio.run(story())


@pytest.mark.proves("S004-23")
def test_a_key_is_made_and_shown_once_listed_without_its_secret_and_revoked(run, url):
    made = run("keys", "create", "ann", "--scope=tasks:run", "--scope=reports:*", "--expires=90d", "--rate=10/m")
    text = made.stdout.strip()
    caller = identify(url, text)
    assert caller == Caller(caller.subject, frozenset({"tasks:run", "reports:*"}), Method.KEY, "ann", "10/m")
    assert "shown this once" in made.stderr

    listed = run("keys", "list").stdout
    key_id, secret = text.split("_", 2)[1:]
    assert secret not in listed
    assert [word in listed for word in (key_id, "ann", "tasks:run", "active")] == [True] * 4

    assert run("keys", "revoke", key_id).stdout == f"{key_id} of ann revoked\n"
    with pytest.raises(NotAuthenticated, match="revoked"):
        identify(url, text)
    assert run("keys", "list").stdout == "no keys\n"
    (kept,) = json.loads(run("keys", "list", "--all", "--json").stdout)
    assert (kept["id"], kept["state"]) == (key_id, "revoked")
    assert run("keys", "revoke", "--forget", key_id).returncode == 0
    assert json.loads(run("keys", "list", "--all", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["revoke", "nobody"], "no API key has the id 'nobody'"),
        (["create", "ann", "--scope=tasks"], "a scope is written like"),
        (["create", "ann", "--scope=tasks:run", "--expires=soon"], "a time is a number and"),
        (["create", "ann", "--scope=tasks:run", "--rate=often"], "a rate is"),
        (["create", "ann"], "--scope"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_ends_with_an_error(run, words, said):
    ended = run("keys", *words)
    assert ended.returncode != 0
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.proves("S004-23")
def test_what_was_done_is_shown_newest_first(run, url):
    async def story() -> None:
        async with opened(url) as server:
            for number, outcome in enumerate(("done", "refused", "done")):
                at = datetime(2026, 1, 2, 3, 4, number, tzinfo=UTC)
                AuditLog(server).record(
                    AuditRecord(at=at, subject="key:1", action="run", task="ping", task_id=str(number), outcome=outcome)
                )

    asyncio.run(story())
    lines = [json.loads(line) for line in run("audit", "--json").stdout.splitlines()]
    assert [(line["task_id"], line["outcome"]) for line in lines] == [("2", "done"), ("1", "refused"), ("0", "done")]
    page = run("audit", "--outcome=done", "--limit=1").stdout
    assert "2026-01-02 03:04:02" in page
    (cursor,) = [line.removeprefix("more: ") for line in page.splitlines() if line.startswith("more: ")]
    (last,) = run("audit", "--outcome=done", cursor, "--json").stdout.splitlines()
    assert json.loads(last)["task_id"] == "0"
