"""What a file of exported data can be."""

from __future__ import annotations

from typing import Literal

__all__ = ["ExportFormat"]

ExportFormat = Literal["json", "csv", "parquet", "xlsx"]
"""How an export is written; also the file's suffix. Plain text, so that callers in any language write ``"json"``.

- ``json``: one object with the user, and every activity in a list;
- ``csv``: a table with one row for each activity, which begins with the user that it belongs to;
- ``parquet``: the same table, typed and compressed;
- ``xlsx``: a workbook of one sheet with the user, and as many with activities as their number takes.
"""
