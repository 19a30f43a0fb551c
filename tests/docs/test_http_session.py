"""The session of ``docs/how-to/http.md``: every line is run, and what it prints is what the page shows."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.blocks import ROOT, blocks
from tests.faults.harness.waiting import free_port, happens_within

from celeriac.testing.worker import WorkerProcess

PAGE = ROOT / "docs/how-to/http.md"


@pytest.fixture
def port(redis_url: str, tmp_path: Path) -> Iterator[int]:
    """Where the service answers, as ``make dev`` starts it."""
    port = free_port()
    database = f"sqlite:///{tmp_path / 'history.db'}"
    said = {"ENVIRONMENT": "development", "HTTP_AUTH": "off", "DATABASE_URL": database}
    env = {**os.environ, **said, "REDIS_URL": redis_url, "PYTHONPATH": str(ROOT / "src")}
    with WorkerProcess("delivery.tasks.app", redis_url=redis_url, env=said, concurrency=2):
        command = [sys.executable, "-m", "uvicorn", "delivery.http.app:app", f"--port={port}"]
        with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as server:
            try:
                up = happens_within(lambda: b"Uvicorn running" in (tmp_path / "log").read_bytes(), 60)
                assert up, (tmp_path / "log").read_text()
                yield port
            finally:
                server.terminate()


@pytest.mark.proves("S000-6", "S001-16", "S001-17")
def test_the_session_of_the_page_goes_as_it_shows(port):
    env = dict(os.environ)
    ran = 0
    found = list(blocks(PAGE))
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.title != "session":
            continue
        script = f"{block.text.replace('127.0.0.1:8000', f'127.0.0.1:{port}')}\nprintf '\\0'; env -0"
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True, timeout=60)
        said, _, rest = done.stdout.partition("\0")
        env = dict(line.split("=", 1) for line in rest.split("\0") if "=" in line)
        ran += 1
        if after is not None and after.language == "text":
            same = doctest.OutputChecker().check_output(
                f"{after.text.strip()}\n", f"{said.strip()}\n", doctest.ELLIPSIS
            )
            assert same, f"{PAGE.name}:{block.line}\n{said}"
    assert ran > 8
