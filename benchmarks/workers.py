"""Workers to measure: started as a user would, watched from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MeasuredWorker"]

PATIENCE = 60.0


class MeasuredWorker:
    """A Celery worker in a process group of its own.

    Attributes:
        seconds_to_ready: from the start of the process until it said that it was ready.
    """

    def __init__(self, app: str, environment: Mapping[str, str], *arguments: str) -> None:
        command = [sys.executable, "-m", "celery", f"--app={app}", "worker", "--loglevel=INFO", *arguments]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        while " ready." not in self._text():
            if self._process.poll() is not None or time.perf_counter() - started > PATIENCE:
                msg = f"{app} did not start:\n{self._text()}"
                raise RuntimeError(msg)
            time.sleep(0.005)
        self.seconds_to_ready = time.perf_counter() - started

    def _text(self) -> str:
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._log.close()

    def cpu_seconds(self) -> float:
        """User and system time so far, of the worker and its children that live."""
        main = psutil.Process(self._process.pid)
        times = [process.cpu_times() for process in [main, *main.children(recursive=True)]]
        return float(sum(each.user + each.system for each in times))
