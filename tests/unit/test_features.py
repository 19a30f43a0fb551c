from __future__ import annotations

import os
import subprocess
import sys

TEST = """
import pytest

@pytest.mark.proves({row!r})
def test_something():
    pass
"""


def run(directory, row: str, *options: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(TEST.format(row=row))
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = proves\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.features", *options, "test_it.py"],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_proof_of_a_row_that_is_none_is_refused(tmp_path):
    refused = run(tmp_path, "S009-1")
    assert refused.returncode != 0
    assert "proves 'S009-1', which is no row" in refused.stderr


def test_the_table_shows_the_proofs_and_the_rows_without(tmp_path):
    shown = run(tmp_path, "S003-6", "--features")
    assert shown.returncode == 0
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("S003-6")]
    assert line.endswith("test_it.py::test_something")
    assert "1 of 174 rows are proved" in shown.stdout
    assert "M-1, M-2" in shown.stdout
