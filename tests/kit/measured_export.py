"""One export in a process of its own, which says how much memory it took: ``python -m tests.kit.measured_export``."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import cast

from pydantic import SecretStr

from core.exports import ExportFormat
from infrastructure.database.database import Database
from infrastructure.database.exports import SqlUserData
from infrastructure.exports.local_files import LocalExportFiles


def main(url: str, directory: str, kind: str, user_id: str) -> None:
    """Export a user's data, and print the figures as JSON."""
    database = Database(SecretStr(url), production=False)
    data = SqlUserData(database)
    began = time.monotonic()
    subject, activities = data.subject(int(user_id)), data.activities(int(user_id))
    written = LocalExportFiles(Path(directory)).write("measured", cast("ExportFormat", kind), subject, activities)
    figures = {
        "rows": written.rows,
        "seconds": round(time.monotonic() - began, 1),
        "bytes": Path(written.path).stat().st_size,
        "peak": _peak(),
    }
    database.close()
    print(json.dumps(figures))


def _peak() -> int:
    """Bytes that the process had in memory at most. Linux's own count, which no parent's size gets into."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None, status
    return int(found.group(1)) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
