"""The table of the history, as SQLAlchemy knows it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["Base", "TaskRow"]


class Base(DeclarativeBase):
    """Our tables, beside whatever else the database holds."""


class TaskRow(Base):
    """One task. The facts are all that is known of it; the other columns are read from them, to be searched by.

    Times are milliseconds since the epoch: the same on every database, and in order.
    """

    __tablename__ = "celeriac_tasks"
    __table_args__ = (
        Index("celeriac_tasks_by_time", "created", "id"),
        Index("celeriac_tasks_by_state", "state", "created"),
        Index("celeriac_tasks_by_name", "name", "created"),
        Index("celeriac_tasks_by_parent", "parent_id"),
        Index("celeriac_tasks_by_root", "root_id"),
        Index("celeriac_tasks_by_group", "group_id"),
        Index("celeriac_tasks_by_age", "touched"),
    )

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    name: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16))
    queue: Mapped[str | None] = mapped_column(String(255))
    worker: Mapped[str | None] = mapped_column(String(255))
    retries: Mapped[int] = mapped_column(Integer)
    created: Mapped[int] = mapped_column(BigInteger)
    """When it was first heard of."""
    touched: Mapped[int] = mapped_column(BigInteger)
    """When it was last heard of."""
    started: Mapped[int | None] = mapped_column(BigInteger)
    ended: Mapped[int | None] = mapped_column(BigInteger)
    parent_id: Mapped[str | None] = mapped_column(String(255))
    root_id: Mapped[str | None] = mapped_column(String(255))
    group_id: Mapped[str | None] = mapped_column(String(255))
    tags: Mapped[str] = mapped_column(Text, default="")
    """Each between two line feeds, so that one can be looked for."""
    error: Mapped[str | None] = mapped_column(Text)
    facts: Mapped[str] = mapped_column(Text)
    """JSON: see :mod:`celeriac.history.facts`."""
