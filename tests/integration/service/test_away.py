"""Accounts while the broker, or the database, is away."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.proxy import TcpProxy
from tests.faults.harness.waiting import until
from tests.kit.house import House, house

from celeriac.transport.outbox.relay import figures_of
from core.configs.settings import DatabaseSettings
from infrastructure.database.database import Database

pytestmark = [pytest.mark.xdist_group("service"), pytest.mark.timeout(120)]
USERS = "/api/v1/users"


@pytest.fixture
def broker(tmp_path: Path) -> Generator[PrivateRedis]:
    """A broker that is not where requests are counted and keys are kept, and may be broken."""
    with PrivateRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def apart(spare_redis, broker, tmp_path, monkeypatch) -> Generator[tuple[House, TcpProxy]]:
    """The service, and what lies between it and its broker."""
    with TcpProxy(broker.port) as proxy:
        monkeypatch.setenv("CELERY_BROKER_URL", proxy.url())
        with house(spare_redis, f"sqlite:///{tmp_path / 'service.db'}") as still:
            monkeypatch.delenv("CELERY_BROKER_URL")
            still.env["CELERY_BROKER_URL"] = broker.url
            yield still, proxy


@pytest.mark.proves("S002-20")
def test_users_are_created_while_the_broker_is_slow_or_away_and_welcomed_later(apart):
    still, proxy = apart
    faults = {"slow": lambda: proxy.slow(5.0), "blackhole": proxy.blackhole, "refuse": proxy.refuse}
    for name, begin in faults.items():
        begin()
        answer = still.http.post(USERS, json={"email": f"{name}@example.org"})
        assert answer.status_code == 201
        assert still.http.get(answer.headers["Location"]).json() == answer.json()
    # What is sent at once needs the broker, and says so.
    asked = still.http.post(f"{USERS}/1/export")
    assert (asked.status_code, asked.json()["type"]) == (503, "urn:celeriac:broker-unavailable")
    assert still.mail.letters == []
    with still.worker():
        letters = still.mail.wait(len(faults))
    assert {each.to for each in letters} == {(f"{name}@example.org",) for name in faults}


@pytest.fixture
def remote(spare_redis, database_url) -> Generator[tuple[House, TcpProxy]]:
    """The service, and what lies between it and PostgreSQL."""
    parts = urlsplit(database_url)
    with TcpProxy(parts.port or 5432) as proxy:
        user = parts.netloc.rpartition("@")[0]
        behind = parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()
        with house(spare_redis, behind) as still:
            yield still, proxy


def test_without_its_database_the_service_says_so_and_goes_on_when_it_is_back(remote):
    still, proxy = remote
    address = {"email": "later@example.org"}
    assert still.http.get(f"{USERS}/1").status_code == 404
    for fault in (proxy.refuse, proxy.blackhole):
        fault()
        refused(still.http.post(USERS, json=address))
    proxy.refuse()
    refused(still.http.get(f"{USERS}/1"))
    proxy.mend()
    until(lambda: still.http.post(USERS, json=address).status_code == 201)


def test_a_database_that_goes_before_the_commit_keeps_neither_user_nor_letter(remote):
    still, proxy = remote
    address = {"email": "middle@example.org"}
    engine = still.container.resolve(Database).engine
    before = figures_of(engine).backlog

    def go(_: Session) -> None:
        proxy.reset()

    event.listen(Session, "before_commit", go)
    try:
        refused(still.http.post(USERS, json=address))
    finally:
        event.remove(Session, "before_commit", go)
    assert figures_of(engine).backlog == before
    assert still.http.post(USERS, json=address).status_code == 201  # nobody has the address
    assert figures_of(engine).backlog == before + 1


def test_a_service_that_was_given_no_database_says_what_to_set(spare_redis, tmp_path):
    none = DatabaseSettings(database_url=None)
    with house(spare_redis, f"sqlite:///{tmp_path / 'unused.db'}", database_settings=none) as still:
        answer = still.http.post(USERS, json={"email": "ada@example.org"})
    refused(answer)
    assert "set DATABASE_URL" in answer.json()["detail"]


def refused(answer: httpx.Response) -> None:
    """The answer of a service whose database is away."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:celeriac:database-unavailable"
    assert int(answer.headers["Retry-After"]) > 0
