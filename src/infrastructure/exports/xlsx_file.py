"""Exports as workbooks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from core.exports.entities import Activity, Subject
from infrastructure.exports.rows import as_json

__all__ = ["write_xlsx"]

ROWS_OF_A_SHEET: Final = 1_048_576
"""The most that a workbook takes, its head among them."""
_TEXT_OF_A_CELL: Final = 32_767
_CUT: Final = " [cut: a cell holds no more]"
_ACTIVITY: Final = ("activity_id", "at (UTC)", "kind", "details")


def write_xlsx(
    path: Path, subject: Subject, activities: Iterable[Activity], *, rows_of_a_sheet: int = ROWS_OF_A_SHEET
) -> None:
    """A sheet ``User``, then ``Activities``, ``Activities 2`` and so on, each as long as a sheet may be.

    Text stays text: it is written as a string, which no spreadsheet runs as a formula or opens as a link. What
    is waiting to be put together lies on disk, beside ``path``, not in memory.
    """
    xlsxwriter: Any = import_module("xlsxwriter")
    options = {"constant_memory": True, "tmpdir": str(path.parent), "remove_timezone": True}
    # It writes through a file of Python's own, so that a full disk is the same error as everywhere.
    with path.open("wb") as file:
        book: Any = xlsxwriter.Workbook(file, options)
        book.use_zip64()
        try:
            _Sheets(book, rows_of_a_sheet).fill(subject, activities)
            _close(book)
        finally:
            for sheet in book.worksheets():
                sheet.row_data_fh.close()


class _Sheets:
    def __init__(self, book: Any, rows_of_a_sheet: int) -> None:
        self._book = book
        self._rows_of_a_sheet = rows_of_a_sheet
        self._date = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})

    def fill(self, subject: Subject, activities: Iterable[Activity]) -> None:
        user = self._sheet("User", ("user_id", "email", "name", "created (UTC)"))
        self._write(user, 1, (subject.id, subject.email, subject.name, subject.created))
        sheet, number, row = self._sheet("Activities", _ACTIVITY), 1, 1
        for activity in activities:
            if row == self._rows_of_a_sheet:
                number, row = number + 1, 1
                sheet = self._sheet(f"Activities {number}", _ACTIVITY)
            self._write(sheet, row, (activity.id, activity.at, activity.kind, as_json(activity.details)))
            row += 1

    def _sheet(self, name: str, head: tuple[str, ...]) -> Any:
        sheet = self._book.add_worksheet(name)
        sheet.set_column(1, len(head) - 1, 24)
        self._write(sheet, 0, head)
        return sheet

    def _write(self, sheet: Any, row: int, values: tuple[Any, ...]) -> None:
        for column, value in enumerate(values):
            if isinstance(value, datetime):
                sheet.write_datetime(row, column, value, self._date)
            elif isinstance(value, str):
                sheet.write_string(row, column, _fitting(value))
            else:
                sheet.write_number(row, column, value)


def _fitting(text: str) -> str:
    """Text that a cell holds; what is too long ends by saying so."""
    if len(text) <= _TEXT_OF_A_CELL // 2:  # even if each of its characters counts twice
        return text
    units = text.encode("utf-16-le")
    if len(units) <= _TEXT_OF_A_CELL * 2:
        return text
    return units[: (_TEXT_OF_A_CELL - len(_CUT)) * 2].decode("utf-16-le", "ignore") + _CUT


def _close(book: Any) -> None:
    """Put the workbook together; the library wraps errors of the disk into one of its own."""
    errors: Any = import_module("xlsxwriter.exceptions")
    try:
        book.close()
    except errors.FileCreateError as error:
        cause = error.args[0]
        raise cause from None
