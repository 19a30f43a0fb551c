"""``celery --app=tests.kit.database_app worker``: plain Celery tasks that are handed a session."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from celeriac import CeleryAppConfig, create_celery_app
from infrastructure.database.database import Database
from infrastructure.database.models import UserRow
from infrastructure.database.task import DatabaseTask

database = Database(SecretStr(os.environ["DATABASE_URL"]), production=False)
app = create_celery_app(CeleryAppConfig.from_mapping({"environment": "test"}))
OnDatabase = DatabaseTask.on(database)


@app.task(name="db.add", bind=True, base=OnDatabase)
def add(self: Any, email: str, db: Session | None = None) -> int:
    assert db is not None
    db.add(UserRow(email=email, created=datetime.now(UTC)))
    db.flush()
    return len(db.scalars(select(UserRow)).all())


@app.task(name="db.fail", bind=True, base=OnDatabase)
def fail(self: Any, email: str, db: Session | None = None) -> None:
    assert db is not None
    db.add(UserRow(email=email, created=datetime.now(UTC)))
    db.flush()
    raise LookupError(email)


@app.task(name="db.again", bind=True, base=OnDatabase, max_retries=1)
def again(self: Any, email: str, db: Session | None = None) -> int:
    assert db is not None
    db.add(UserRow(email=f"{self.request.retries}-{email}", created=datetime.now(UTC)))
    db.flush()
    if not self.request.retries:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@app.task(name="db.connections", bind=True, base=OnDatabase)
def connections(self: Any, db: Session | None = None) -> int:
    """How many connections are in use, this one among them."""
    assert db is not None
    db.scalars(select(UserRow)).all()
    pool: Any = database.engine.pool
    return int(pool.checkedout())
