"""Plain Celery tasks that want a session handed to them, for code that is on its way to controllers."""

from __future__ import annotations

from typing import Any, ClassVar

from celery import Task

from infrastructure.database.database import Database
from infrastructure.database.unit_of_work import SqlUnitOfWork

__all__ = ["DatabaseTask"]


class DatabaseTask(Task[..., Any]):
    """The base of a task whose function takes ``db``, a session that is committed, rolled back and closed for it.

    ::

        @celery_app.task(bind=True, base=DatabaseTask.on(database))
        def refresh_market_data(self, mode="smart", db=None):
            db.execute(...)

    It is committed when the function returns, rolled back when it raises, a retry included, and closed in any case. The
    session never travels: a call that passes ``db`` is refused. Controllers ask for a unit of work instead.
    """

    abstract = True
    database: ClassVar[Database | None] = None

    @classmethod
    def on(cls, database: Database) -> type[DatabaseTask]:
        """The same for one database, whose pool each process has for itself."""

        class Bound(cls):  # type: ignore[misc, valid-type]  # mypy knows no class that is given
            abstract = True

        Bound.database = database
        return Bound

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task's function within one transaction.

        Raises:
            DatabaseUnavailableError: the database is away.
            RuntimeError: the class was not bound to a database.
            TypeError: the message passes ``db`` itself.
        """
        if self.database is None:
            msg = f"task {self.name} has no database: write base=DatabaseTask.on(database)"
            raise RuntimeError(msg)
        if "db" in kwargs:
            msg = f"task {self.name} is given its session where it runs: call it without db"
            raise TypeError(msg)
        with SqlUnitOfWork(self.database) as unit:
            return super().__call__(*args, db=unit.session, **kwargs)
