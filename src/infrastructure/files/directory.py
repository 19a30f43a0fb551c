"""Tables by name, out of one directory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from core.data.errors import TableTooLargeError, UnknownTableError, UnreadableTableError
from core.data.ports import TableReader

__all__ = ["TableDirectory"]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class TableDirectory:
    """Fulfils :class:`core.data.ports.Tables`. The table ``orders`` is ``orders.csv``, and nothing outside is read.

    Args:
        directory: where the files are.
        max_bytes: of one file.
        reader: reads it.
    """

    def __init__(self, directory: Path, max_bytes: int, reader: TableReader) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._reader = reader

    def read(self, name: str) -> list[dict[str, str]]:
        """See :meth:`core.data.ports.Tables.read`."""
        if not _NAME.fullmatch(name):
            msg = f"{name[:100]!r} is no name of a table: it has letters, digits, _ and -, and no path"
            raise UnknownTableError(msg)
        path = self._directory / f"{name}.csv"
        if not path.exists():
            there = ", ".join(sorted(each.stem for each in self._directory.glob("*.csv"))) or "none"
            msg = f"there is no table {name} in {self._directory}, where {there} is: DATA_DIRECTORY says where they are"
            raise UnknownTableError(msg)
        if path.resolve().parent != self._directory.resolve() or not path.is_file():
            msg = f"{path} is no file of that directory itself, so it is not read"
            raise UnreadableTableError(msg)
        if (size := path.stat().st_size) > self._max_bytes:
            msg = f"{path} has {size} bytes, more than the {self._max_bytes} of DATA_MAX_BYTES: rows travel in messages"
            raise TableTooLargeError(msg)
        return self._reader.read(path)
