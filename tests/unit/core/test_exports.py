"""Exports, without a disk or a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import pytest

from core.exports.entities import Activity, Export, ExportProgress, Subject
from core.exports.errors import NothingToExportError
from core.exports.formats import ExportFormat
from core.exports.ports import WrittenFile
from core.exports.service import ExportService
from core.transactions import DatabaseUnavailableError

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STEPS: list[ExportProgress] = [
    {"current": 1, "total": 4, "percent": 25, "message": "Fetching user data..."},
    {"current": 2, "total": 4, "percent": 50, "message": "Fetching activity history..."},
    {"current": 3, "total": 4, "percent": 75, "message": "Generating export file..."},
    {"current": 4, "total": 4, "percent": 100, "message": "Complete!"},
]


class World:
    """A user, a disk and a database, all in memory; each plays the port that it is asked to play."""

    def __init__(self) -> None:
        self.users = {7: Subject(7, "ada@example.org", "Ada", NOW)}
        self.files: dict[str, int] = {}
        self.noted: dict[str, Export] = {}
        self.shown: dict[str, list[ExportProgress]] = {}
        self.told: list[ExportProgress] = []
        self.gone_after: int | None = None
        self.writes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def subject(self, user_id: int) -> Subject:
        if user_id not in self.users:
            raise NothingToExportError.of(user_id)
        return self.users[user_id]

    def activities(self, user_id: int) -> Iterator[Activity]:
        for number in range(3):
            if number == self.gone_after:
                raise DatabaseUnavailableError
            yield Activity(number, NOW, "login", {})

    def write(self, task_id: str, kind: ExportFormat, subject: Subject, activities: Iterable[Activity]) -> WrittenFile:
        rows = len(list(activities))
        self.writes += 1
        self.files[f"user-{subject.id}-{task_id}.{kind}"] = rows
        return WrittenFile(f"user-{subject.id}-{task_id}.{kind}", rows)

    def exists(self, path: str) -> bool:
        return path in self.files

    def remove(self, path: str) -> bool:
        return self.files.pop(path, None) is not None

    def forgotten(self, before: datetime) -> Iterator[str]:
        raise NotImplementedError

    def find(self, task_id: str) -> Export | None:
        return self.noted.get(task_id)

    def keep(self, export: Export) -> None:
        if export.user_id not in self.users:
            raise NothingToExportError.of(export.user_id)
        self.noted[export.task_id] = export

    def expired(self, now: datetime, limit: int, after: Export | None = None) -> list[Export]:
        raise NotImplementedError

    def count_expired(self, now: datetime) -> int:
        raise NotImplementedError

    def note_removed(self, task_ids: Iterable[str], now: datetime) -> None:
        raise NotImplementedError

    def named(self, paths: Iterable[str]) -> set[str]:
        raise NotImplementedError

    def put(self, task_id: str, progress: ExportProgress) -> None:
        self.shown.setdefault(task_id, []).append(progress)

    def export(self, user_id: int = 7) -> Export:
        service = ExportService(self, self, self, self, self, lifetime=timedelta(days=7))
        return service.export("t1", user_id, "json", self.told.append)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.proves("S002-17")
def test_four_steps_are_told_to_the_task_and_shown_on_the_board(world):
    world.export()
    assert world.told == STEPS
    assert world.shown == {"t1": STEPS}


def test_the_file_is_noted_with_its_rows_and_until_when_it_is_kept(world):
    export = world.export()
    assert world.noted == {"t1": export}
    assert world.files == {"user-7-t1.json": 3}
    assert (export.file_path, export.rows, export.user_id, export.format) == ("user-7-t1.json", 3, 7, "json")
    assert export.expires - export.created == timedelta(days=7)


def test_a_task_that_is_delivered_again_makes_nothing_again(world):
    first = world.export()
    world.told.clear()
    assert world.export() == first
    assert world.writes == 1
    assert world.told == STEPS[3:]


def test_a_file_that_somebody_removed_is_written_again(world):
    world.export()
    world.files.clear()
    world.export()
    assert world.files == {"user-7-t1.json": 3}
    assert len(world.noted) == 1


def test_nobody_is_exported_who_does_not_exist(world):
    with pytest.raises(NothingToExportError, match="user 8 does not exist, so there is nothing to export"):
        world.export(8)
    assert world.told == STEPS[:1]
    assert not world.noted
    assert not world.files


def test_a_database_that_goes_away_leaves_nothing_noted(world):
    world.gone_after = 2
    with pytest.raises(DatabaseUnavailableError):
        world.export()
    assert world.told == STEPS[:3]
    assert not world.noted


def test_a_user_who_is_deleted_meanwhile_leaves_no_file(world, monkeypatch):
    def write(*_: object) -> WrittenFile:
        del world.users[7]
        world.files["user-7-t1.json"] = 3
        return WrittenFile("user-7-t1.json", 3)

    monkeypatch.setattr(world, "write", write)
    with pytest.raises(NothingToExportError):
        world.export()
    assert not world.files
    assert not world.noted
