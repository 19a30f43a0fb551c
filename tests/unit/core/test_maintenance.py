"""Cleaning up, without a disk or a database: in which steps, and what a dry run leaves alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import pytest

from core.exports.entities import Activity, Export, Subject
from core.exports.formats import ExportFormat
from core.exports.ports import WrittenFile
from core.maintenance.entities import ExpiredCounts, OldCounts, OldRows
from core.maintenance.expired import ExpiredDataService
from core.maintenance.old import OldDataService

NOW = datetime.now(UTC)


class Attic:
    """Rows, exports and files, and the transaction in which they change."""

    def __init__(self) -> None:
        self.rows: dict[OldRows, int] = {"activities": 2_500, "completions": 1_000, "exports": 0, "results": 1}
        self.exports = {f"/e{number}": NOW - timedelta(days=1) for number in range(250)}
        self.files = {*self.exports, "/.x.part", "/fresh"}
        self.named_files = {"/fresh"}
        self.stuck: set[str] = set()
        self.before: set[datetime] = set()
        self.transactions = 0

    def __enter__(self) -> Self:
        self.transactions += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

    def count(self, rows: OldRows, before: datetime) -> int:
        return self.rows[rows]

    def expired(self, now: datetime, limit: int, after: Export | None = None) -> list[Export]:
        some = sorted(path for path in self.exports if after is None or path > after.file_path)[:limit]
        return [Export(path, 1, "json", path, 0, NOW, self.exports[path]) for path in some]

    def count_expired(self, now: datetime) -> int:
        return len(self.exports)

    def note_removed(self, task_ids: Iterable[str], now: datetime) -> None:
        for path in task_ids:
            assert path not in self.files, "the file goes first"
            del self.exports[path]

    def named(self, paths: Iterable[str]) -> set[str]:
        return self.named_files & set(paths)

    def find(self, task_id: str) -> Export | None:
        raise NotImplementedError

    def keep(self, export: Export) -> None:
        raise NotImplementedError


class Rows:
    """The rows of an attic."""

    def __init__(self, attic: Attic) -> None:
        self.attic = attic
        self.count = attic.count

    def remove(self, rows: OldRows, before: datetime, limit: int) -> int:
        self.attic.before.add(before)
        some = min(limit, self.attic.rows[rows])
        self.attic.rows[rows] -= some
        return some


class Files:
    """The files of an attic."""

    def __init__(self, attic: Attic) -> None:
        self.attic = attic

    def remove(self, path: str) -> bool:
        if path in self.attic.stuck:
            return False
        self.attic.files.remove(path)
        return True

    def forgotten(self, before: datetime) -> Iterator[str]:
        assert before <= datetime.now(UTC) - timedelta(hours=1)
        return iter(["/.x.part", "/fresh"])

    def write(self, task_id: str, kind: ExportFormat, subject: Subject, activities: Iterable[Activity]) -> WrittenFile:
        raise NotImplementedError

    def exists(self, path: str) -> bool:
        raise NotImplementedError


@pytest.fixture
def attic() -> Attic:
    return Attic()


def test_old_rows_go_a_thousand_at_a_time_all_by_one_moment(attic):
    removed = OldDataService(attic, Rows(attic)).remove(older_than_days=90, dry_run=False)
    assert removed == OldCounts(activities=2_500, completions=1_000, exports=0, results=1)
    assert attic.transactions == 3 + 2 + 1 + 1
    (before,) = attic.before
    assert timedelta(days=90) <= datetime.now(UTC) - before < timedelta(days=90, minutes=5)


def test_a_dry_run_counts_old_rows_and_leaves_them(attic):
    counted = OldDataService(attic, Rows(attic)).remove(older_than_days=90, dry_run=True)
    assert counted == OldCounts(activities=2_500, completions=1_000, exports=0, results=1)
    assert attic.rows["activities"] == 2_500
    assert not attic.before


def test_of_an_expired_export_the_file_goes_before_it_is_noted(attic):
    removed = ExpiredDataService(attic, attic, Files(attic)).remove(dry_run=False)
    assert removed == ExpiredCounts(exports=250, leftovers=1)
    assert attic.files == {"/fresh"}
    assert not attic.exports


def test_what_cannot_be_removed_is_not_noted_and_keeps_nobody_going(attic):
    attic.stuck = {"/e0", "/e17", "/e249"}
    removed = ExpiredDataService(attic, attic, Files(attic)).remove(dry_run=False)
    assert removed == ExpiredCounts(exports=247, leftovers=1)
    assert set(attic.exports) == attic.stuck


def test_a_dry_run_counts_what_has_expired_and_leaves_it(attic):
    counted = ExpiredDataService(attic, attic, Files(attic)).remove(dry_run=True)
    assert counted == ExpiredCounts(exports=250, leftovers=1)
    assert len(attic.files) == 252
