"""``python -m benchmarks``: every figure in one table, on a Redis server of its own."""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.spine import Spine
from benchmarks.table import Row, table
from celeriac.testing.embedded import EmbeddedRedis


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs each figure is the median of (5)")
    parser.add_argument("--tasks", type=int, default=3000, help="tasks in a run (3000)")
    said = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as directory, EmbeddedRedis(Path(directory)) as server:
        spine = Spine(server.url, said.rounds, said.tasks)
        resolved = spine.resolve()
        for row in spine.rows():
            print(" ".join(row.cells()), file=sys.stderr, flush=True)
            rows.append(row)
    versions = ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "redis", "punq", "pydantic"))
    print(f"{platform.python_implementation()} {platform.python_version()}, {versions}\n")
    print(table(rows))
    print(f"\n{resolved}")


if __name__ == "__main__":
    main()
