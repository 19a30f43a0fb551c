"""What follows a change, as calls of tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy.orm import Session

from celeriac import CeleryAppConfig, CeleryPublisher, create_celery_app
from celeriac.history.database import engine_of
from celeriac.history.schema import upgrade
from celeriac.transport.outbox.relay import figures_of
from core.accounts import User
from delivery.tasks.follow_ups import AccountFollowUps
from delivery.tasks.registry import TasksRegistry

T = TypeVar("T")
ADA = User(7, "ada@example.org", "Ada", datetime.now(UTC))


class Open:
    """A unit of work that is open."""

    def __init__(self, session: Session) -> None:
        self.session = session


def test_a_welcome_is_kept_or_dropped_with_the_transaction(tmp_path):
    url = f"sqlite:///{tmp_path / 'service.db'}"
    engine = engine_of(url)
    upgrade(engine)
    said = {"redis_url": "redis://localhost:1/0", "outbox_enabled": True, "history_database_url": url}
    app = create_celery_app(CeleryAppConfig.from_mapping(said))
    TasksRegistry.install(app, Nobody())
    tasks = TasksRegistry(CeleryPublisher(app))
    with Session(engine) as session:
        AccountFollowUps(tasks, Open(session)).welcome(ADA)
        session.rollback()
    assert figures_of(engine).backlog == 0
    with Session(engine) as session, session.begin():
        AccountFollowUps(tasks, Open(session)).welcome(ADA)
    assert figures_of(engine).backlog == 1
    engine.dispose()
    app.close()


class Nobody:
    """A container of a process that builds nothing."""

    def resolve(self, service: type[T], /) -> T:
        raise LookupError(service)
