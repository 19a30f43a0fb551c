"""The table of messages that wait to be sent."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, LargeBinary, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = ["OutboxBase", "OutboxRow"]


class OutboxBase(DeclarativeBase):
    """A registry of its own: the table belongs to no model of the service."""


class OutboxRow(OutboxBase):
    """One call. It is ready to be sent as it is, or says how Celery shall send it."""

    __tablename__ = "celeriac_outbox"

    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    """Messages are sent in this order."""
    id: Mapped[str] = mapped_column(String(255))
    """The task's."""
    task: Mapped[str] = mapped_column(String(255))
    queue: Mapped[str | None] = mapped_column(String(255))
    created: Mapped[int] = mapped_column(BigInteger)
    """When it was written, ms since the epoch, by the clock of who wrote it."""
    key: Mapped[str | None] = mapped_column(String(255))
    """The list of a message that is ready for Redis."""
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    """That message."""
    event: Mapped[bytes | None] = mapped_column(LargeBinary)
    """What the history hears of it."""
    call: Mapped[str | None] = mapped_column(Text)
    """JSON: arguments, named arguments and options of any other call."""
