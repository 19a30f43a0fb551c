"""A real worker whose processes may be killed and stopped one by one, with or without a supervisor."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil
from tests.faults.harness.waiting import happens_within, until

Pool = Literal["lane", "prefork", "threads", "solo"]

_START_SECONDS = 45.0
_RESTART_SECONDS = 0.3
_END_SECONDS = 30.0
_FAMILY_SECONDS = 5.0


class Worker:
    """``celery worker`` in a session of its own, as a context manager.

    Args:
        app: the module of the Celery app.
        directory: where its log goes.
        env: variables laid over this process's own.
        pool: ``lane`` is our app's default.
        concurrency: tasks at once, or processes.
        supervised: whether it is started again when it ends before :meth:`close`.
        mingle: whether it waits a second at each start for what its neighbours have to tell, as workers usually do.
        prefix: what stands before the command, such as ``taskset`` and its options.
        arguments: further options of ``celery worker``.
        name: tells the workers of one test apart.
    """

    def __init__(
        self,
        app: str,
        directory: Path,
        *,
        env: Mapping[str, str],
        pool: Pool = "lane",
        concurrency: int = 2,
        supervised: bool = False,
        mingle: bool = False,
        prefix: Sequence[str] = (),
        arguments: Sequence[str] = (),
        name: str = "worker",
    ) -> None:
        self.node = f"{name}@faults"
        self.path = directory / f"{name}.log"
        self.pool = pool
        self.exits: list[int] = []
        self.concurrency = 1 if pool == "solo" else concurrency
        self._supervised = supervised
        self._closing = threading.Event()
        command = [sys.executable, "-m", "celery", f"--app={app}", "worker", "--loglevel=INFO"]
        options = [f"--hostname={self.node}", f"--concurrency={self.concurrency}"]
        if not mingle:
            options.append("--without-mingle")
        self._command = [*prefix, *command, *options, *arguments]
        path = os.pathsep.join(entry for entry in sys.path if entry)
        chosen = {} if pool == "lane" else {"CELERY_WORKER_POOL": pool}
        self._env = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **chosen, **env}
        self._process: subprocess.Popen[bytes] | None = None
        self._born: list[psutil.Process] = []
        self._supervisor: threading.Thread | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        print(f"--- log of {self.node}, without tasks that succeeded ---\n{self._remarkable()}")  # with a failed test

    @property
    def pid(self) -> int:
        """The main process's id."""
        assert self._process is not None, "the worker was not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the main process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code of the last main process, negative for a signal; None while it runs."""
        assert self._process is not None, "the worker was not started"
        return self._process.poll()

    @property
    def log(self) -> str:
        """Everything that all processes wrote."""
        return self.path.read_text(errors="replace") if self.path.exists() else ""

    def start(self, *, wait: bool = True) -> None:
        """Start the main process; with ``wait``, return once it consumes."""
        said = self._readies()
        with self.path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self._supervised and self._supervisor is None:
            self._supervisor = threading.Thread(target=self._supervise, daemon=True)
            self._supervisor.start()
        if wait:
            ready = happens_within(
                lambda: self._readies() > said or not (self.alive or self._supervised), _START_SECONDS
            )
            assert ready, f"the worker was not ready in time:\n{self.log[-5000:]}"
            assert self._readies() > said, f"the worker ended with {self.returncode}:\n{self.log[-5000:]}"

    def family(self) -> list[psutil.Process]:
        """The processes that run tasks, once all of them are there: a worker may be ready before they are."""
        if self.pool == "lane":
            happens_within(lambda: self.helpers() and len(self.children()) >= self.concurrency, _FAMILY_SECONDS)
        return self.children()

    def children(self) -> list[psutil.Process]:
        """The processes that run tasks, oldest first."""
        found = self._descendants()
        return [each for each in found if not _is_parent(each, found)]

    def helpers(self) -> list[psutil.Process]:
        """The processes between the main one and those that run tasks, where a pool has any."""
        found = self._descendants()
        return [each for each in found if _is_parent(each, found)]

    def kill_main(self) -> None:
        """SIGKILL to the main process alone."""
        process = self._remember()
        process.kill()
        process.wait(_END_SECONDS)

    def kill_child(self, index: int = 0) -> int:
        """SIGKILL to one process of the pool; gives its id."""
        child = self.children()[index]
        child.kill()
        return child.pid

    def kill_group(self) -> None:
        """SIGKILL to everything at once, as when the machine is lost."""
        process = self._remember()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for each in self._born:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(_END_SECONDS)  # a supervisor may have started the next one by now

    def freeze(self) -> None:
        """SIGSTOP to everything."""
        self._remember()
        for each in self._born:
            with suppress(psutil.NoSuchProcess):
                each.suspend()

    def thaw(self) -> None:
        """SIGCONT to everything."""
        for each in self._born:
            with suppress(psutil.NoSuchProcess):
                each.resume()

    def signal(self, number: signal.Signals) -> None:
        """A signal to the main process."""
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Wait until the main process ends by itself, and give its exit code."""
        assert self._process is not None, "the worker was not started"
        return self._process.wait(timeout)

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, and wait for the end. Gives the exit code."""
        self._supervised = False
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def close(self) -> None:
        """Leave no process behind."""
        self._closing.set()
        if self._process is not None:
            self.kill_group()
        if self._supervisor is not None:
            self._supervisor.join()
            self.kill_group()

    def rss(self) -> int:
        """Bytes of resident memory of all processes together."""
        sizes = []
        for each in self._tree():
            with suppress(psutil.NoSuchProcess):
                sizes.append(each.memory_info().rss)
        return sum(sizes)

    def descriptors(self) -> int:
        """Open files and sockets of all processes together."""
        counts = []
        for each in self._tree():
            with suppress(psutil.NoSuchProcess):
                counts.append(each.num_fds())
        return sum(counts)

    def _tree(self) -> list[psutil.Process]:
        return [psutil.Process(self.pid), *self._descendants()]

    def _descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self.pid).children(recursive=True)
            return sorted((each for each in found if not _is_pythons_own(each)), key=psutil.Process.create_time)
        return []

    def _remember(self) -> subprocess.Popen[bytes]:
        """The main process. Children of a dead parent are nobody's children, so they are noted before."""
        assert self._process is not None, "the worker was not started"
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self._process.pid)
            self._born = [main, *main.children(recursive=True)]
        return self._process

    def _remarkable(self) -> str:
        lines = [line for line in self.log.splitlines() if not re.search(r" (received|succeeded in .*)$", line)]
        return "\n".join(lines[-300:])

    def _readies(self) -> int:
        return len(re.findall(rf"{re.escape(self.node)} ready\.", self.log))

    def _supervise(self) -> None:
        while not self._closing.is_set():
            process = self._process
            assert process is not None, "the worker was not started"
            process.wait()
            self.exits.append(process.returncode)
            if not self._supervised or self._closing.wait(_RESTART_SECONDS):
                return
            self.start(wait=False)

    def wait_for(self, pattern: str, timeout: float = 20) -> None:
        """Wait until the log holds a match."""
        until(lambda: re.search(pattern, self.log), timeout=timeout, what=f"{pattern!r} in the log")


def _is_parent(process: psutil.Process, among: list[psutil.Process]) -> bool:
    for each in among:
        with suppress(psutil.NoSuchProcess):
            if each.ppid() == process.pid:
                return True
    return False


def _is_pythons_own(process: psutil.Process) -> bool:
    try:
        return any("resource_tracker" in word for word in process.cmdline())
    except psutil.Error:
        return True
