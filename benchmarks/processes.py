"""Processes of the systems: workers watched from outside, and producers told when to begin."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from benchmarks.systems import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["PATIENCE", "Ledger", "Producer", "Workers"]

PATIENCE = 120.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of our own is made inside


class Ledger:
    """What tasks were begun: a directory with a file for each process, one byte for each task, in memory."""

    def __init__(self) -> None:
        base = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        self._directory = tempfile.TemporaryDirectory(prefix="bench-ledger-", dir=base)
        self.path = self._directory.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._directory.cleanup()

    def sizes(self) -> list[int]:
        """Tasks begun by each process that began one."""
        return [size for each in os.scandir(self.path) if (size := each.stat().st_size)]

    def total(self) -> int:
        """Tasks begun by all."""
        return sum(self.sizes())


class Workers:
    """The workers of one system, each command in a session of its own."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self.started = time.perf_counter()
        self._processes = [
            subprocess.Popen(
                list(command),
                env={**os.environ, **environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            for command in commands
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tree = self._tree()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for each in tree:  # some put their children into sessions of their own
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        for process in self._processes:
            process.wait()
        psutil.wait_procs(tree, timeout=10)
        self._log.close()

    def log(self) -> str:
        """What they said so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def until_said(self, words: str) -> float:
        """Seconds from the start until these words were in the log."""
        while words not in self.log():
            self.check()
            if time.perf_counter() - self.started > PATIENCE:
                msg = f"not ready within {PATIENCE:.0f} s:\n{self.log()}"
                raise TimeoutError(msg)
            time.sleep(0.005)
        return time.perf_counter() - self.started

    def check(self) -> None:
        """Raise RuntimeError, with the log, when one has ended."""
        for process in self._processes:
            if process.poll() is not None:
                msg = f"{process.args!r} ended with {process.returncode}:\n{self.log()}"
                raise RuntimeError(msg)

    def _tree(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                main = psutil.Process(process.pid)
                found += [main, *main.children(recursive=True)]
        return found

    def cpu(self) -> float:
        """Seconds of user and system time so far, of all that live and of their children that ended."""
        spent = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent += sum(process.cpu_times()[:4])
        return spent

    def memory(self) -> float:
        """MiB of all, pages that several share divided among them (PSS)."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.NoSuchProcess):
                full: Any = process.memory_full_info()
                total += getattr(full, "pss", full.uss)
        return total / 2**20


class Producer:
    """One operation of one system in a process of its own, connected and warm when this returns."""

    def __init__(self, python: str, module: str, operation: str, count: int, environment: Mapping[str, str]) -> None:
        self.count = count
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.peers", module, operation, str(count)],
            env={**os.environ, **environment},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self._line()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def go(self) -> dict[str, Any]:
        """Let it run. ``wall`` and ``cpu`` are the seconds that it took, ``value`` is what the operation returned."""
        assert self._process.stdin is not None  # noqa: S101 - for type checkers
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        measured: dict[str, Any] = json.loads(self._line())
        return measured

    def _line(self) -> str:
        assert self._process.stdout is not None  # noqa: S101 - for type checkers
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(PATIENCE)
            msg = f"{self._process.args!r}:\n{os.pread(self._errors.fileno(), 1 << 16, 0).decode(errors='replace')}"
            raise RuntimeError(msg)
        return line
