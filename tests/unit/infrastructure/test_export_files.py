"""Files of exports, on a real disk, read back by others than wrote them."""

from __future__ import annotations

import csv
import importlib
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest

from core.exports import ExportFormat
from core.exports.entities import Activity, Subject
from core.exports.errors import ExportNotWrittenError
from core.transactions import DatabaseUnavailableError
from infrastructure.exports.local_files import LocalExportFiles
from infrastructure.exports.xlsx_file import write_xlsx

FORMATS = get_args(ExportFormat)
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ADA = Subject(7, "ada@example.org", '=HYPERLINK("http://evil.example")', AT)
ACTIVITIES = [
    Activity(1, AT, "login", {"from": "Pécs", "n": 1}),
    Activity(2, AT + timedelta(days=1), "@SUM(A1:A9)", {}),
    Activity(3, AT + timedelta(days=2), "-1+1", {"text": "two\nlines, and a \u20ac"}),
]


@pytest.fixture
def files(tmp_path: Path) -> LocalExportFiles:
    return LocalExportFiles(tmp_path / "exports")


def content(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "exports").iterdir())


def cells(workbook: Path, sheet: int) -> list[str]:
    """The texts and numbers of a sheet, by way of its XML."""
    with zipfile.ZipFile(workbook) as archive:
        xml = archive.read(f"xl/worksheets/sheet{sheet}.xml").decode()
    assert "<f>" not in xml, "a formula"
    found = re.findall(r"<c [^>]*>(?:<is><t[^>]*>(.*?)</t></is>|<v>(.*?)</v>)</c>", xml, re.DOTALL)
    return [text or number for text, number in found]


def test_json_is_one_object(files):
    written = files.write("a", "json", ADA, ACTIVITIES)
    read = json.loads(Path(written.path).read_text())
    assert read["user"] == {
        "id": 7,
        "email": "ada@example.org",
        "name": ADA.name,
        "created": "2026-03-01T12:30:00+00:00",
    }
    assert [activity["id"] for activity in read["activities"]] == [1, 2, 3]
    assert read["activities"][0] == {
        "id": 1,
        "at": "2026-03-01T12:30:00+00:00",
        "kind": "login",
        "details": {"from": "Pécs", "n": 1},
    }
    assert written.rows == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"far": -float("inf")}]])
def test_what_former_rows_hold_and_json_does_not_know_is_null(files, value):
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    activity = Activity(1, AT, "measured", {"value": value, "unit": 1.5})
    whole = json.loads(
        Path(files.write("a", "json", ADA, [activity]).path).read_text(encoding="utf-8"), parse_constant=refuse
    )
    with Path(files.write("a", "csv", ADA, [activity]).path).open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    expected = {"value": [{"far": None}] if isinstance(value, list) else None, "unit": 1.5}
    assert whole["activities"][0]["details"] == expected
    assert json.loads(row["details"], parse_constant=refuse) == expected


def test_long_details_end_a_group_of_parquet_before_its_rows_are_many(files):
    parquet: Any = importlib.import_module("pyarrow.parquet")
    long = [Activity(number, AT, "wrote", {"text": "x" * (6 << 20)}) for number in range(7)]
    read = parquet.ParquetFile(files.write("a", "parquet", ADA, long).path)
    assert [read.metadata.row_group(group).num_rows for group in range(read.metadata.num_row_groups)] == [3, 3, 1]
    assert read.read(columns=["activity_id"])["activity_id"].to_pylist() == list(range(7))


def test_csv_is_a_table_in_which_no_spreadsheet_finds_a_formula(files):
    written = files.write("a", "csv", ADA, ACTIVITIES)
    with Path(written.path).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["activity_id"] for row in rows] == ["1", "2", "3"]
    assert [row["kind"] for row in rows] == ["login", "'@SUM(A1:A9)", "'-1+1"]
    assert {row["name"] for row in rows} == {f"'{ADA.name}"}
    assert json.loads(rows[2]["details"]) == ACTIVITIES[2].details


def test_parquet_is_a_table_with_types(files):
    parquet: Any = importlib.import_module("pyarrow.parquet")
    table = parquet.read_table(files.write("a", "parquet", ADA, ACTIVITIES).path)
    assert table.column("activity_id").to_pylist() == [1, 2, 3]
    assert table.column("at").to_pylist() == [activity.at for activity in ACTIVITIES]
    assert set(table.column("name").to_pylist()) == {ADA.name}, "nothing is put before what is no spreadsheet's"
    assert str(table.schema.field("at").type) == "timestamp[us, tz=UTC]"


def test_xlsx_is_a_workbook_whose_texts_are_texts(files):
    written = files.write("a", "xlsx", ADA, ACTIVITIES)
    assert cells(Path(written.path), 1)[:7] == [
        "user_id",
        "email",
        "name",
        "created (UTC)",
        "7",
        "ada@example.org",
        '=HYPERLINK("http://evil.example")',
    ]
    activities = cells(Path(written.path), 2)
    assert activities[4::4] == ["1", "2", "3"]
    assert activities[6::4] == ["login", "@SUM(A1:A9)", "-1+1"]


def test_activities_that_one_sheet_does_not_take_go_on_the_next(tmp_path):
    path = tmp_path / "a.xlsx"
    write_xlsx(path, ADA, ACTIVITIES, rows_of_a_sheet=3)
    assert [cells(path, sheet)[4::4] for sheet in (2, 3)] == [["1", "2"], ["3"]]
    with zipfile.ZipFile(path) as archive:
        assert 'name="Activities 2"' in archive.read("xl/workbook.xml").decode()


def test_a_text_that_no_cell_holds_ends_by_saying_so(tmp_path):
    path = tmp_path / "a.xlsx"
    write_xlsx(path, ADA, [Activity(1, AT, "note", {"text": "x" * 40_000})])
    text = cells(path, 2)[7]
    assert len(text) == 32_767
    assert text.endswith(" [cut: a cell holds no more]")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_user_who_did_nothing_is_still_exported(files, kind):
    written = files.write("a", kind, ADA, [])
    assert written.rows == 0
    content = Path(written.path).read_bytes()
    if kind in {"json", "csv"}:
        assert b"ada@example.org" in content
    assert content


@pytest.mark.parametrize("kind", FORMATS)
def test_a_database_that_goes_away_in_the_middle_leaves_no_file(files, tmp_path, kind):
    def broken() -> Iterator[Activity]:
        yield from ACTIVITIES
        raise DatabaseUnavailableError

    with pytest.raises(DatabaseUnavailableError):
        files.write("a", kind, ADA, broken())
    assert content(tmp_path) == []


def test_a_second_attempt_takes_the_place_of_the_first(files, tmp_path):
    files.write("a", "json", ADA, ACTIVITIES)
    files.write("a", "json", ADA, ACTIVITIES[:1])
    assert content(tmp_path) == ["user-7-a.json"]
    assert len(json.loads((tmp_path / "exports" / "user-7-a.json").read_text())["activities"]) == 1


def test_no_name_leads_out_of_the_directory(files, tmp_path):
    written = files.write("../../../etc/x", "json", ADA, [])
    assert Path(written.path).parent == tmp_path / "exports"
    assert files.remove(str(tmp_path / "elsewhere.json")), "it is not there"
    outside = tmp_path / "elsewhere.json"
    outside.touch()
    assert not files.remove(str(outside))
    assert outside.exists()


def test_an_export_in_a_former_directory_goes_too(files, tmp_path):
    former = LocalExportFiles(tmp_path / "former").write("a", "json", ADA, []).path
    assert files.remove(former)
    assert not Path(former).exists()


def test_a_directory_that_cannot_be_used_is_refused_by_name(tmp_path):
    (tmp_path / "exports").touch()
    with pytest.raises(ExportNotWrittenError, match="EXPORTS_DIRECTORY must name a directory that may be written to"):
        LocalExportFiles(tmp_path / "exports").write("a", "json", ADA, [])


FILLS_THE_DISK = """
import resource, sys
from datetime import UTC, datetime
from pathlib import Path
from core.exports.entities import Activity, Subject
from core.exports.errors import NoRoomError
from infrastructure.exports.local_files import LocalExportFiles

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
at = datetime(2026, 3, 1, tzinfo=UTC)
activities = (Activity(n, at, "login", {"n": f"{n * 7919 % 104729:x}" * 20}) for n in range(50_000))
directory = Path(sys.argv[1])
try:
    LocalExportFiles(directory).write("a", sys.argv[2], Subject(1, "a@b.c", "", at), activities)
except NoRoomError as error:
    print("refused:", error)
print("left:", sorted(path.name for path in directory.rglob("*")))
"""


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_is_said_and_leaves_nothing_behind(tmp_path, kind):
    """No file of this process may be larger than 20 kB, which is what a disk with no more room looks like to it."""
    command = [sys.executable, "-W", "error", "-c", FILLS_THE_DISK, str(tmp_path / "exports"), kind]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert re.fullmatch(
        r"refused: .*user-1-a\.\w+ was not written, there is no room for it: .*\nleft: \[\]\n", ended.stdout
    )
    assert ended.stderr == ""


def test_only_what_nobody_touches_any_more_is_forgotten(files, tmp_path):
    directory = tmp_path / "exports"
    old = directory / ".user-7-b.json.x1.part"
    alive = directory / ".user-7-c.json.x2.part"
    for part in (old, alive):
        part.mkdir(parents=True)
        (part / "file").touch()
    files.write("fresh", "json", ADA, [])
    files.write("a", "json", ADA, [])
    yesterday = time.time() - 86_400
    (directory / "notes.json").write_text("somebody else's")
    for path in (old / "file", old, alive, directory / "user-7-a.json", directory / "notes.json"):
        os.utime(path, (yesterday, yesterday))
    found = files.forgotten(datetime.now(UTC) - timedelta(hours=1))
    assert sorted(found) == [str(old), str(directory / "user-7-a.json")]
    assert files.remove(str(old))
    assert content(tmp_path) == [alive.name, "notes.json", "user-7-a.json", "user-7-fresh.json"]


def test_nothing_is_forgotten_where_nothing_was_written(files):
    assert list(files.forgotten(datetime.now(UTC))) == []
