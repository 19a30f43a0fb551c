"""Tables in CSV files."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from core.data.errors import UnreadableTableError

if TYPE_CHECKING:
    from _csv import Reader
    from pathlib import Path

__all__ = ["CsvTableReader"]


class CsvTableReader:
    """Fulfils :class:`core.data.ports.TableReader` for UTF-8 files whose first row names the columns."""

    def read(self, path: Path) -> list[dict[str, str]]:
        """See :meth:`core.data.ports.TableReader.read`."""
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                return self._rows(csv.reader(file, strict=True), path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise self._unreadable(path, str(error)) from error

    def _rows(self, reader: Reader, path: Path) -> list[dict[str, str]]:
        head = next(reader, None)
        if not head:
            raise self._unreadable(path, "it is empty; its first row must name the columns")
        rows: list[dict[str, str]] = []
        for cells in reader:
            if len(cells) > len(head):
                problem = f"line {reader.line_num} has {len(cells)} cells, but there are {len(head)} columns"
                raise self._unreadable(path, problem)
            rows.append(dict(zip(head, cells + [""] * (len(head) - len(cells)), strict=True)))
        return rows

    @staticmethod
    def _unreadable(path: Path, problem: str) -> UnreadableTableError:
        return UnreadableTableError(f"{path} cannot be read as a table: {problem}")
