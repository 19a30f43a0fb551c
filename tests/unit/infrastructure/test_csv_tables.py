"""The CSV adapter, over real files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.data.errors import UnreadableTableError
from infrastructure.files.csv_tables import CsvTableReader

if TYPE_CHECKING:
    from pathlib import Path


def test_each_row_is_named_by_the_head(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_bytes('\ufeffname,city\r\nÉva,"Pécs, HU"\r\nBo\r\n'.encode())
    assert CsvTableReader().read(table) == [{"name": "Éva", "city": "Pécs, HU"}, {"name": "Bo", "city": ""}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty; its first row must name the columns"),
        (b"a,b\n1,2,3\n", "line 2 has 3 cells, but there are 2 columns"),
        (b"a\n\xff\xfe\n", "can't decode byte 0xff"),
        (b'a\n"x', "unexpected end of data"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, content: bytes, problem: str) -> None:
    table = tmp_path / "broken.csv"
    table.write_bytes(content)
    with pytest.raises(UnreadableTableError, match=r"broken\.csv cannot be read as a table") as refused:
        CsvTableReader().read(table)
    assert problem in str(refused.value)


def test_a_file_that_is_missing_or_a_directory_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UnreadableTableError, match="cannot be read as a table"):
            CsvTableReader().read(path)
