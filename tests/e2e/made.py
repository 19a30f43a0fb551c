"""Make targets as a developer runs them: in a copy of the checkout, in a terminal of their own, ended by Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]


def copy_checkout(target: Path) -> Path:
    """What the targets need of this checkout, to be edited freely; bytecode too, or each process would compile it."""
    for name in ("Makefile", "pyproject.toml", "requirements", "src"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name)
        else:
            shutil.copy2(source, target / name)
    return target


def make_command(*arguments: str) -> list[str]:
    """``make`` with the environment that runs this test, taken as installed."""
    return ["make", f"VENV={sys.prefix}", "--old-file", f"{sys.prefix}/.installed", *arguments]


class Made:
    """``make <arguments>`` while it runs."""

    def __init__(self, checkout: Path, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.checkout = checkout
        self._arguments = make_command(*arguments)
        outer = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "LOGGING_LEVEL"}}
        outer.pop("MAKEFLAGS", None)  # of the make that runs the tests
        self._env = {**outer, "PYTHONPATH": str(checkout / "src"), "COLUMNS": "200", **(env or {})}
        self._log = checkout / f"{arguments[0]}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._file = self._log.open("wb")
        self._process = subprocess.Popen(
            self._arguments,
            cwd=self.checkout,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._process is not None
        assert self._file is not None
        if kind is not None:
            sys.stderr.write(self.output)
        if self._process.poll() is None:
            self.interrupt()
        self._file.close()

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        assert self._process is not None
        return self._process.poll() is None

    def wait_for(self, pattern: str, *, times: int = 1, timeout: float = 60) -> None:
        deadline = time.monotonic() + timeout
        while len(re.findall(pattern, self.output)) < times:
            assert self.running, f"make ended before {pattern!r} was seen:\n{self.output}"
            assert time.monotonic() < deadline, f"{pattern!r} was not seen {times} times:\n{self.output}"
            time.sleep(0.05)

    def interrupt(self) -> int:
        """Ctrl-C: the terminal sends SIGINT to make and to what it runs."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)
        return self._process.wait(timeout=100)

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=100)
