"""Exports in a directory of this machine, or in one that several share."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Final
from urllib.parse import quote

from core.exports.entities import Activity, Subject
from core.exports.errors import ExportNotWrittenError, NoRoomError
from core.exports.formats import ExportFormat
from core.exports.ports import WrittenFile
from infrastructure.exports.csv_file import write_csv
from infrastructure.exports.json_file import write_json
from infrastructure.exports.parquet_file import write_parquet
from infrastructure.exports.xlsx_file import write_xlsx
from infrastructure.files.disk import bring_to_disk

__all__ = ["LocalExportFiles"]

_WRITERS: Final[dict[ExportFormat, Callable[[Path, Subject, Iterable[Activity]], None]]] = {
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
    "xlsx": write_xlsx,
}
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PART: Final = ".part"
_OURS: Final = re.compile(rf"user-\d+-.+\.({'|'.join(_WRITERS)})|\.user-\d+-.+\{_PART}")


class LocalExportFiles:
    """Fulfils :class:`core.exports.ports.ExportFiles`.

    A file ``user-USER-TASK.FORMAT`` grows in a directory ``.NAME.RANDOM.part`` of its attempt, with all that its writer
    puts aside, and is renamed when it is whole and on disk. So there is never half a file under its name, and what a
    killed attempt left can be told from a file. What has another name is somebody else's, and left alone.

    Args:
        directory: made when it is missing; readable by nobody but the service.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    def write(self, task_id: str, kind: ExportFormat, subject: Subject, activities: Iterable[Activity]) -> WrittenFile:
        """See :meth:`core.exports.ports.ExportFiles.write`."""
        path = self._directory / f"user-{subject.id}-{quote(task_id, safe='')}.{kind}"
        counted = _Counted(activities)
        with self._errors(path):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = Path(mkdtemp(prefix=f".{path.name[:100]}.", suffix=_PART, dir=self._directory))
            try:
                _WRITERS[kind](part / path.name, subject, counted)
                bring_to_disk(part / path.name)
                (part / path.name).replace(path)
                bring_to_disk(self._directory)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return WrittenFile(str(path), counted.number)

    def exists(self, path: str) -> bool:
        """See :meth:`core.exports.ports.ExportFiles.exists`."""
        return Path(path).is_file()

    def remove(self, path: str) -> bool:
        """See :meth:`core.exports.ports.ExportFiles.remove`."""
        file = Path(path)
        if file.parent != self._directory:
            return _gone_from_elsewhere(file)
        with self._errors(file):
            if file.name.endswith(_PART):
                shutil.rmtree(file)
            else:
                file.unlink(missing_ok=True)
        return True

    def forgotten(self, before: datetime) -> Iterator[str]:
        """See :meth:`core.exports.ports.ExportFiles.forgotten`."""
        with self._errors(self._directory), suppress(FileNotFoundError), os.scandir(self._directory) as found:
            for each in found:
                if _OURS.fullmatch(each.name) and _touched(Path(each.path)) < before.timestamp():
                    yield each.path

    @contextmanager
    def _errors(self, path: Path) -> Generator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in _FULL:
                msg = f"{path} was not written, there is no room for it: {reason}"
                raise NoRoomError(msg) from error
            msg = f"{path} cannot be used: {reason}. EXPORTS_DIRECTORY must name a directory that may be written to"
            raise ExportNotWrittenError(msg) from error


class _Counted:
    """Counts what is taken from it."""

    def __init__(self, activities: Iterable[Activity]) -> None:
        self._activities = activities
        self.number = 0

    def __iter__(self) -> Iterator[Activity]:
        for activity in self._activities:
            self.number += 1
            yield activity


def _touched(path: Path) -> float:
    """When a file, or anything in the directory of an attempt, was last written to; now, if it has just gone."""
    try:
        inside = list(path.iterdir()) if path.name.endswith(_PART) else []
        return max(each.stat().st_mtime for each in (path, *inside))
    except FileNotFoundError:
        return float("inf")


def _gone_from_elsewhere(file: Path) -> bool:
    """Remove a file of a directory that exports had before, if it has a name of theirs, and say whether it is gone."""
    try:
        if file.is_absolute() and _OURS.fullmatch(file.name) and not file.name.endswith(_PART):
            file.unlink(missing_ok=True)
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
