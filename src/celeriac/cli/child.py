"""A process that the development runner keeps: started, read line by line, ended, started again."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Child"]

_LONGEST_LINE = 2**24  # bytes


class Child:
    """One process in a session of its own, so that Ctrl-C reaches the runner alone and the runner ends things in order.

    Args:
        name: what stands before its lines.
        arguments: program and arguments.
        env: its whole environment.
        on_line: is called with every line that it writes.
        on_end: is called with its exit code when it ends without being asked to.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        env: Mapping[str, str],
        on_line: Callable[[str, str], None],
        on_end: Callable[[Child, int], None],
    ) -> None:
        self.name = name
        self.starts = 0
        self._arguments = arguments
        self._env = env
        self._on_line = on_line
        self._on_end = on_end
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked_to_end = False

    @property
    def pid(self) -> int | None:
        """The process id, or None before the first start."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start it. What it says and how it ends is told by the two callbacks."""
        self.starts += 1
        self._asked_to_end = False
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            env=dict(self._env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        self._reader = asyncio.create_task(self._read(self._process))

    async def stop(self, grace: float) -> None:
        """Ask it to finish what it does and end; kill it after ``grace`` seconds. Returns once it is gone."""
        self._asked_to_end = True
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(reader), grace)
        except TimeoutError:
            self.kill()
            await reader

    def kill(self) -> None:
        """End it and what it started, at once."""
        self._asked_to_end = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        async for line in process.stdout:
            self._on_line(self.name, line.decode(errors="replace").rstrip("\n"))
        code = await process.wait()
        if not self._asked_to_end:
            self._on_end(self, code)
