"""Tables by name, in a real directory that somebody tries to leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.data.errors import TableTooLargeError, UnknownTableError, UnreadableTableError
from infrastructure.files.csv_tables import CsvTableReader
from infrastructure.files.directory import TableDirectory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "tables"
    made.mkdir()
    (made / "orders.csv").write_text("name,city\nAda,London\n")
    (made / "old-orders_2.csv").write_text("name\nBo\n")
    (tmp_path / "secret.csv").write_text("password\ngeheim\n")
    return made


def read(directory: Path, name: str, max_bytes: int = 1000) -> list[dict[str, str]]:
    return TableDirectory(directory, max_bytes, CsvTableReader()).read(name)


def test_a_table_is_read_by_its_name(directory):
    assert read(directory, "orders") == [{"name": "Ada", "city": "London"}]
    assert read(directory, "old-orders_2") == [{"name": "Bo"}]


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "..", ".", "", "a/b", "a\\b", "orders.csv", "orders\0", "orders\n", "o" * 101]
)
def test_a_name_that_could_be_a_path_is_none(directory, name):
    with pytest.raises(UnknownTableError, match=r"is no name of a table: it has letters, digits, _ and -, and no path"):
        read(directory, name)


def test_an_unknown_table_is_named_with_those_that_are_there(directory, tmp_path):
    with pytest.raises(UnknownTableError) as refused:
        read(directory, "customers")
    assert str(refused.value) == (
        f"there is no table customers in {directory}, where old-orders_2, orders is: DATA_DIRECTORY says where they are"
    )
    with pytest.raises(UnknownTableError, match=r"nowhere, where none is"):
        read(tmp_path / "nowhere", "orders")


def test_a_link_that_leaves_the_directory_is_not_followed(directory, tmp_path):
    (directory / "link.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(UnreadableTableError, match=r"link\.csv is no file of that directory itself"):
        read(directory, "link")


def test_a_link_within_it_is(directory):
    (directory / "link.csv").symlink_to(directory / "orders.csv")
    assert len(read(directory, "link")) == 1


def test_what_is_no_file_is_not_opened(directory):
    os.mkfifo(directory / "pipe.csv")  # whoever opens it waits for somebody to write
    (directory / "inner.csv").mkdir()
    for name in ("pipe", "inner"):
        with pytest.raises(UnreadableTableError, match="is no file of that directory itself"):
            read(directory, name)


def test_a_table_that_is_too_large_for_messages_is_refused(directory):
    with pytest.raises(TableTooLargeError, match=r"has 21 bytes, more than the 20 of DATA_MAX_BYTES"):
        read(directory, "orders", max_bytes=20)
    assert read(directory, "orders", max_bytes=21)


def test_a_file_that_is_no_table_is_told_as_such(directory):
    (directory / "empty.csv").write_text("")
    with pytest.raises(UnreadableTableError, match=r"empty\.csv cannot be read as a table: it is empty"):
        read(directory, "empty")
