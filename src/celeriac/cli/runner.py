"""Runs some processes together: all of them or none, again when the code changes, and down in order at the end."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from watchfiles import PythonFilter, awatch  # pyright: ignore[reportUnknownVariableType] - trio's half of a union

from celeriac.cli.child import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from celeriac.cli.screen import Screen

__all__ = ["Runner"]

_GRACE_SECONDS = 15.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Runner:
    """Keeps its processes until it is told to stop or one of them dies.

    Args:
        screen: where everything is shown.
        env: the environment of the processes.
        watch: directories whose Python files start the processes again when they change.
    """

    def __init__(self, screen: Screen, *, env: Mapping[str, str], watch: Sequence[Path]) -> None:
        self._screen = screen
        self._env = env
        self._watch = [path for path in watch if path.is_dir()]
        self._children: list[Child] = []
        self._over = asyncio.Event()
        self._code = 0

    def add(self, name: str, arguments: Sequence[str]) -> None:
        """One more process to run."""
        self._children.append(Child(name, arguments, env=self._env, on_line=self._screen.line, on_end=self._died))

    async def run(self, *, rows: Sequence[tuple[str, str, str]], command: Sequence[str] | None = None) -> int:
        """Run until Ctrl-C, or until ``command`` is done when one is given.

        Args:
            rows: what stands in the table above the processes.
            command: a program that gets the screen to itself.

        Returns:
            0 after Ctrl-C, or if there was one process and that ended well; 1 after a process died; else the exit code
            of ``command``.
        """
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._asked_to_stop)
        try:
            await asyncio.gather(*(child.start() for child in self._children))
            self._screen.table([*rows, *((child.name, f"pid {child.pid}", "") for child in self._children)])
            jobs = [asyncio.create_task(self._reload())]
            if command is not None:
                jobs.append(asyncio.create_task(self._command(command)))
            await self._over.wait()
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        finally:
            await self._stop_all()
        return self._code

    def _asked_to_stop(self) -> None:
        if self._over.is_set():  # asked twice: whoever asks does not want to wait
            for child in self._children:
                child.kill()
        else:
            self._screen.say("stopping; once more to stop at once")
            self._end(0)

    def _died(self, child: Child, code: int) -> None:
        if child.starts > 1:  # somebody is in the middle of an edit
            self._screen.say(f"{child.name} ended with {code} after a change; waiting for the next one", wrong=True)
        elif code == 0 and len(self._children) == 1:  # it had nothing to do, and has said why
            self._screen.say(f"{child.name} ended")
            self._end(0)
        else:
            self._screen.say(f"{child.name} ended with {code}: stopping the others", wrong=True)
            self._end(1)

    def _end(self, code: int) -> None:
        if not self._over.is_set():
            self._code = code
            self._over.set()

    async def _reload(self) -> None:
        if not self._watch:
            return
        async for changes in awatch(*self._watch, watch_filter=PythonFilter()):
            names = sorted({Path(path).name for _, path in changes})
            self._screen.say(f"{', '.join(names)} changed: starting {self._names()} again")
            await self._stop_all()
            await asyncio.gather(*(child.start() for child in self._children))

    async def _command(self, command: Sequence[str]) -> None:
        process = await asyncio.create_subprocess_exec(*command, env=dict(self._env))
        try:
            self._end(await process.wait())
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def _stop_all(self) -> None:
        await asyncio.gather(*(child.stop(_GRACE_SECONDS) for child in self._children))

    def _names(self) -> str:
        return " and ".join(child.name for child in self._children)
