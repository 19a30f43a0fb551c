"""What exports need from outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.exports.entities import Activity, Export, ExportProgress, Subject
from core.exports.formats import ExportFormat

__all__ = ["ExportFiles", "Exports", "ProgressBoard", "ReportProgress", "UserData", "WrittenFile"]


class UserData(Protocol):
    """Reads what is known of a user."""

    def subject(self, user_id: int) -> Subject:
        """The user.

        Raises:
            NothingToExportError: there is no such user.
            DatabaseUnavailableError: the database is away.
        """
        ...

    def activities(self, user_id: int) -> Iterator[Activity]:
        """All that the user did until now, oldest first, a page at a time: what is held does not grow with it.

        Where the history ends is settled by this call, so that a user who goes on does not keep the export going.

        Raises:
            DatabaseUnavailableError: the database is away, now or at a later page.
        """
        ...


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is whole and on disk."""

    path: str
    rows: int


class ExportFiles(Protocol):
    """Keeps the files. A file is there whole, or not at all."""

    def write(self, task_id: str, kind: ExportFormat, subject: Subject, activities: Iterable[Activity]) -> WrittenFile:
        """Write the file of this task, in place of one that it wrote before.

        Args:
            task_id: what the file is named after, beside the user.
            kind: how it is written.
            subject: the user.
            activities: taken one by one.

        Raises:
            NoRoomError: the disk is full; nothing is left of the file.
            ExportNotWrittenError: the directory cannot be used.
        """
        ...

    def exists(self, path: str) -> bool:
        """Whether the file is there."""
        ...

    def remove(self, path: str) -> bool:
        """Remove a file, and say whether it is gone, as one is that was not there.

        One that lies elsewhere, as if exports had another directory before, goes only if it has a name of theirs.

        Raises:
            ExportNotWrittenError: the directory cannot be used.
        """
        ...

    def forgotten(self, before: datetime) -> Iterator[str]:
        """Whole files, and what killed attempts left behind, that nothing was written to since ``before``."""
        ...


class Exports(Protocol):
    """The record of every export; used inside of a unit of work."""

    def find(self, task_id: str) -> Export | None:
        """The export that this task made, if it has."""
        ...

    def keep(self, export: Export) -> None:
        """Note an export, in place of an earlier one of the same task.

        Raises:
            NothingToExportError: the user was deleted meanwhile.
        """
        ...

    def expired(self, now: datetime, limit: int, after: Export | None = None) -> list[Export]:
        """So many of the exports whose time is over and whose files are still there, the oldest first.

        Args:
            now: the time.
            limit: how many at most.
            after: the last one of an earlier call, which the next ones follow.
        """
        ...

    def count_expired(self, now: datetime) -> int:
        """How many there are."""
        ...

    def note_removed(self, task_ids: Iterable[str], now: datetime) -> None:
        """Note that the files of these are gone."""
        ...

    def named(self, paths: Iterable[str]) -> set[str]:
        """Those of these files that an export names."""
        ...


class ProgressBoard(Protocol):
    """Where anybody who knows a task's id reads how far its export is. What it cannot keep costs the task nothing."""

    def put(self, task_id: str, progress: ExportProgress) -> None:
        """Show this in place of what was shown."""
        ...


class ReportProgress(Protocol):
    """Told of each step by the task itself."""

    def __call__(self, progress: ExportProgress, /) -> None:
        """Take note of it."""
        ...
