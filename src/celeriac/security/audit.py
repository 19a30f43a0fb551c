"""The record of what callers did: a line in the log, and an entry in a stream on Redis that can be read again."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from celeriac.security.trail import note

if TYPE_CHECKING:
    from celeriac.security.server import Server

__all__ = ["AuditLog", "AuditPage", "AuditRecord", "note"]

logger = logging.getLogger("celeriac.audit")

_USUAL_LENGTH: Final = 100_000
_LONGEST: Final = 500
"""Characters of one field: what callers send is shown, and not kept at any length."""
_PAGE: Final = 500
_ASKED_AT_MOST: Final = 100
"""Pages that one listing reads for what it looks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """Who did what, to which task, when, and how it ended.

    Attributes:
        at: when it ended.
        subject: who; empty where nobody knows.
        method: how that is known: ``key``, ``token``, ``open`` or ``other``.
        name: what people call the caller.
        action: what was done: the name of the route, such as ``run_task``.
        permission: what it took.
        task: the name of the task.
        task_id: its id.
        count: how many tasks it was about, where there were several.
        outcome: ``done``, ``refused``, ``invalid`` or ``failed``.
        status: the HTTP status, where HTTP was the way in.
        address: where the request came from.
        detail: more, for people.
        id: where it stands in the record; empty until it stands there.
    """

    at: datetime
    subject: str = ""
    method: str = ""
    name: str = ""
    action: str = ""
    permission: str = ""
    task: str = ""
    task_id: str = ""
    count: int | None = None
    outcome: str = ""
    status: int | None = None
    address: str = ""
    detail: str = ""
    id: str = ""

    def plain(self) -> dict[str, Any]:
        """What is said of it, as JSON has it; what is not known is left out."""
        said = {name: value for name in _FIELDS if (value := getattr(self, name)) is not None and value != ""}
        said["at"] = self.at.astimezone(UTC).isoformat(timespec="milliseconds")
        return said


_FIELDS: Final = tuple(field.name for field in fields(AuditRecord))


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some records, newest first, and where to go on; ``None`` at the end."""

    records: tuple[AuditRecord, ...]
    cursor: str | None


class AuditLog:
    """Writes records, and reads them.

    The line in the log comes first and always. The entry follows beside the request, some milliseconds later; if the
    process is killed in between, the line is all there is. Whoever can write to that Redis can alter the entries: ship
    the log to where nobody can.

    Args:
        server: where entries are kept.
        length: how many, about; older ones go.
    """

    def __init__(self, server: Server, *, length: int = _USUAL_LENGTH) -> None:
        self._server = server
        self._key = f"{server.prefix}celeriac.audit"
        self._length = length

    def record(self, record: AuditRecord, *, keep: bool = True) -> None:
        """Note what was done. Waits for nothing, raises nothing.

        Args:
            record: what was done.
            keep: ``False`` for the log alone: what strangers do must not push out what callers did.
        """
        plain = {name: _cut(value) for name, value in record.plain().items()}
        logger.info({"event": "audit", **plain})
        if not keep:
            return
        pairs = (part for name, value in plain.items() for part in (name, str(value)))
        if not self._server.tell("XADD", self._key, "MAXLEN", "~", self._length, "*", *pairs):
            logger.warning("an audit record stands in the log alone: %s does not keep up", self._server.address)

    async def page(
        self,
        limit: int = 50,
        before: str | None = None,
        *,
        subject: str | None = None,
        action: str | None = None,
        task: str | None = None,
        task_id: str | None = None,
        outcome: str | None = None,
    ) -> AuditPage:
        """Records that fit, newest first.

        Args:
            limit: how many, at most.
            before: the cursor of the page before.
            subject: only of this caller.
            action: only of this action.
            task: only about this task.
            task_id: only about the task of this id.
            outcome: only with this outcome.

        Raises:
            redis.exceptions.RedisError: the server does not answer, or does not understand the cursor.
        """
        wanted = {"subject": subject, "action": action, "task": task, "task_id": task_id, "outcome": outcome}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        found: list[AuditRecord] = []
        end = "+" if before is None else f"({before}"
        for _ in range(_ASKED_AT_MOST):
            entries: list[Any] = await self._server.ask("XREVRANGE", self._key, end, "-", "COUNT", _PAGE)
            for entry_id, flat in entries:
                record = _record(entry_id.decode(), flat)
                if any(getattr(record, name) != value for name, value in wanted.items()):
                    continue
                if len(found) == limit:
                    return AuditPage(tuple(found), found[-1].id)
                found.append(record)
            if len(entries) < _PAGE:
                return AuditPage(tuple(found), None)
            end = f"({entries[-1][0].decode()}"
        return AuditPage(tuple(found), end[1:])


def _cut(value: Any) -> Any:
    return value if not isinstance(value, str) or len(value) <= _LONGEST else f"{value[:_LONGEST]}..."


def _record(entry_id: str, flat: list[bytes]) -> AuditRecord:
    said: dict[str, Any] = {flat[at].decode(): flat[at + 1].decode(errors="replace") for at in range(0, len(flat), 2)}
    known: dict[str, Any] = {name: said[name] for name in _FIELDS if name in said}
    known |= {name: int(said[name]) for name in ("count", "status") if name in said}
    known |= {"at": datetime.fromisoformat(said["at"]), "id": entry_id}
    return AuditRecord(**known)
