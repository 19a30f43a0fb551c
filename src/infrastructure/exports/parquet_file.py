"""Exports as Apache Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from core.exports.entities import Activity, Subject
from infrastructure.exports.rows import COLUMNS, Row, rows_of

__all__ = ["write_parquet"]

_ROW_GROUP: Final = 10_000
"""Rows that are held until they are written together: the larger, the smaller the file."""
_GROUP_SIZE: Final = 16 << 20
"""Characters of details after which a group ends, however few its rows are."""


def write_parquet(path: Path, subject: Subject, activities: Iterable[Activity]) -> None:
    """One row group after another, compressed. ``details`` is JSON."""
    # Late, since it is large and most processes export nothing; and without types of its own.
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    schema = _schema(arrow)
    rows = rows_of(subject, activities)
    # It writes through a file of Python's own, so that a full disk is the same error as everywhere.
    with path.open("wb") as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_batch(_batch(arrow, schema, group))


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    held = 0
    for row in rows:
        group.append(row)
        held += len(row[-1] or "")
        if len(group) == _ROW_GROUP or held >= _GROUP_SIZE:
            yield group
            group, held = [], 0
    if group:
        yield group


def _batch(arrow: Any, schema: Any, rows: list[Row]) -> Any:
    columns = zip(*rows, strict=True)
    arrays = [arrow.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
    return arrow.record_batch(arrays, schema=schema)


def _schema(arrow: Any) -> Any:
    kinds = {
        "user_id": arrow.int64(),
        "activity_id": arrow.int64(),
        "created": arrow.timestamp("us", tz="UTC"),
        "at": arrow.timestamp("us", tz="UTC"),
    }
    return arrow.schema([(column, kinds.get(column, arrow.string())) for column in COLUMNS])
