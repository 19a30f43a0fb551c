"""The door is killed around the commit of a new user, and the worker with the letter in its hand: both or neither."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from tests.faults.harness.forms import forms
from tests.faults.harness.waiting import free_port, happens_within, until
from tests.kit.house import House, house

from celeriac.history.records import HistoryState
from celeriac.transport.outbox.relay import figures_of
from infrastructure.database.database import Database
from infrastructure.database.models import UserRow

USERS = "/api/v1/users"
numbers = count()


@pytest.fixture(params=forms(["sqlite"], wide=["postgresql"]))
def home(request, server, tmp_path) -> Generator[House]:
    """A healthy service, without a worker."""
    url = f"sqlite:///{tmp_path / 'service.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("database_url")
    with house(server.url, url) as running:
        yield running


@pytest.fixture
def ada() -> dict[str, str]:
    """Somebody whom no test before has met: PostgreSQL keeps those."""
    return {"email": f"ada{next(numbers)}@example.org"}


@contextmanager
def dying(home: House, moment: str, log: Path) -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """The address of another door to the same service, which dies at that moment."""
    port = free_port()
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "ENVIRONMENT": "test",
        "REDIS_URL": home.url,
        "DATABASE_URL": home.database,
        "HTTP_AUTH": "off",
        "FAULTS_DIE": moment,
    }
    command = [sys.executable, "-m", "uvicorn", "tests.faults.harness.dying_door:app", f"--port={port}"]
    with log.open("wb") as file, subprocess.Popen(command, env=env, stdout=file, stderr=file) as process:
        try:
            up = happens_within(lambda: b"Uvicorn running" in log.read_bytes(), 60)
            assert up, log.read_text()
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()


def work(scenario, home: House, **options):
    """A worker of the service."""
    env = {"ENVIRONMENT": "test", "DATABASE_URL": home.database, **home.mail.env, "MAIL_TIMEOUT": "60"}
    return scenario.worker(home.url, app="delivery.tasks.app", env=env, **options)


def users(home: House, email: str) -> int:
    with home.container.resolve(Database).reading() as session:
        return session.scalar(select(func.count()).select_from(UserRow).where(UserRow.email == email)) or 0


def waiting(home: House) -> int:
    return figures_of(home.container.resolve(Database).engine).backlog


@pytest.mark.proves("S002-20")
@pytest.mark.parametrize(("moment", "kept"), [("after_commit", 1), ("before_commit", 0)])
def test_a_door_that_dies_around_the_commit_leaves_user_and_letter_or_neither(scenario, home, ada, moment, kept):
    before = waiting(home)
    with dying(home, moment, scenario.directory / "log") as (address, process):
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{address}{USERS}", json=ada, timeout=30)
        assert process.wait(20) == -signal.SIGKILL
    assert (users(home, ada["email"]), waiting(home) - before) == (kept, kept)
    again = home.http.post(USERS, json=ada)
    assert again.status_code == (409 if kept else 201)
    assert (users(home, ada["email"]), waiting(home) - before) == (1, 1)
    with work(scenario, home):
        (letter,) = home.mail.wait()
        record = home.ended(letter.id.strip("<>").partition("@")[0])
        until(lambda: waiting(home) == 0)
        assert home.registry.ping.delay().get(timeout=30) == {"result": "pong"}  # all that came before has been sent
    assert (record.name, record.state) == ("email.send_welcome", HistoryState.SUCCEEDED)
    assert len(home.mail.letters) == 1


@pytest.mark.proves("S002-13")
@pytest.mark.parametrize("victim", forms(["group"], wide=["child", "main"]))
def test_a_worker_that_dies_with_the_letter_in_its_hand_ends_the_task_once(scenario, home, ada, victim):
    home.mail.faults.append("keep silent")
    assert home.http.post(USERS, json=ada).status_code == 201
    with work(scenario, home, supervised=True, concurrency=1) as worker:
        (first,) = home.mail.wait()
        getattr(worker, f"kill_{victim}")()
        letters = home.mail.wait(2, timeout=60)
        record = home.ended(first.id.strip("<>").partition("@")[0])
        assert home.registry.ping.delay().get(timeout=30) == {"result": "pong"}
    assert [each.id for each in letters] == [first.id, first.id]
    assert (record.name, record.state) == ("email.send_welcome", HistoryState.SUCCEEDED)
    assert sum(each.state is HistoryState.SUCCEEDED for each in record.attempts) == 1
    assert users(home, ada["email"]) == 1
    assert len(home.mail.letters) == 2
