"""A plain Celery task that is handed its session, on real workers."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr
from sqlalchemy import select
from tests.integration.conftest import POOLS
from tests.kit.clients import client

from celeriac.testing.worker import WorkerProcess
from infrastructure.database.database import Database
from infrastructure.database.models import UserRow
from infrastructure.database.task import DatabaseTask

WAIT = 20
pytestmark = pytest.mark.timeout(90)


@dataclass
class Kept:
    app: Celery
    database: Database

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return self.app.send_task(name, args, kwargs, queue="default").get(timeout=WAIT)

    def emails(self) -> list[str]:
        with self.database.reading() as session:
            return list(session.scalars(select(UserRow.email)))


@pytest.fixture(scope="module", params=POOLS[:3])
def kept(request, second_url, tmp_path_factory) -> Generator[Kept]:
    path: Path = tmp_path_factory.mktemp("database")
    url = f"sqlite:///{path / 'service.db'}"
    database = Database(SecretStr(url), production=False)
    worker = WorkerProcess(
        "tests.kit.database_app", redis_url=second_url, pool=request.param, concurrency=1, env={"DATABASE_URL": url}
    )
    with worker, client(Celery(broker=second_url, backend=second_url)) as app:
        yield Kept(app, database)
    database.close()


@pytest.mark.proves("S004-12", "H-10")
def test_what_succeeds_is_committed_once(kept):
    count = kept.call("db.add", "success@example.org")
    assert kept.emails().count("success@example.org") == 1
    assert count == len(kept.emails())


@pytest.mark.proves("S004-12", "H-10")
def test_what_fails_is_rolled_back(kept):
    with pytest.raises(LookupError):
        kept.call("db.fail", "failure@example.org")
    assert "failure@example.org" not in kept.emails()


def test_a_retry_is_rolled_back_too(kept):
    assert kept.call("db.again", "retried@example.org") == 1
    assert [email for email in kept.emails() if "retried" in email] == ["1-retried@example.org"]


@pytest.mark.proves("S004-12", "H-10")
def test_its_connection_is_given_back_in_any_case(kept):
    with pytest.raises(LookupError):
        kept.call("db.fail", "leak@example.org")
    assert [kept.call("db.connections") for _ in range(3)] == [1, 1, 1]


@pytest.mark.proves("H-10")
def test_a_session_never_comes_in_a_message(kept):
    with pytest.raises(TypeError, match="call it without db"):
        kept.call("db.add", "message@example.org", db="a session")


def test_a_task_that_was_not_bound_to_a_database_says_so():
    app = Celery(broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(base=DatabaseTask, name="unbound", shared=False)
    def unbound(db: object = None) -> None:
        raise AssertionError(db)

    with pytest.raises(RuntimeError, match=r"base=DatabaseTask\.on\(database\)"):
        unbound.apply().get()
