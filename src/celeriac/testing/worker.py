"""Real worker and beat processes for tests: started, waited for, stopped, and their log shown when they fail."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal, Self
from uuid import uuid4

from typing_extensions import override

from celeriac.exceptions import ServerNotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["BeatProcess", "CeleryProcess", "WorkerProcess"]

_POLL_SECONDS = 0.05


class CeleryProcess:
    """``python -m celery --app=... <command>`` in a process group of its own, as a context manager.

    Args:
        app: the module of the Celery app, as in ``--app``.
        redis_url: becomes ``REDIS_URL`` of the process; None leaves the environment as it is.
        arguments: what follows the command.
        env: further variables, laid over this process's own.
        ready: what the log says, as a regular expression, once the process is ready.
        start_timeout: seconds that it may take until then.
        stop_timeout: seconds that it may take to end after SIGTERM, before it is killed.
    """

    command: str

    def __init__(
        self,
        app: str,
        *,
        redis_url: str | None,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        ready: str,
        start_timeout: float = 30.0,
        stop_timeout: float = 20.0,
    ) -> None:
        self.app = app
        self._arguments = [sys.executable, "-m", "celery", f"--app={app}", self.command, "--loglevel=INFO", *arguments]
        given = {} if redis_url is None else {"REDIS_URL": redis_url}
        # What these tests can import, the process can import too.
        path = os.pathsep.join(entry for entry in sys.path if entry)
        # A server for tests may keep nothing on disk, which a worker in production refuses.
        usual = {"ENVIRONMENT": "test", **os.environ}
        self._env = {**usual, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **given, **(env or {})}
        self._ready = re.compile(ready)
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._directory = TemporaryDirectory(prefix=f"celeriac-{self.command}-")
        self.directory = Path(self._directory.name)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.app!r})"

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
        try:
            self.stop()
        finally:
            if error is not None:
                sys.stderr.write(f"--- log of {self!r} ---\n{self.log}\n")  # pytest shows it with the failed test
            self.close()

    @property
    def pid(self) -> int:
        """The process id of the main process; its pool children are in the same group."""
        return self._started.pid

    @property
    def log(self) -> str:
        """Everything that the process has written so far."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal, or None while the process runs."""
        return self._started.poll()

    def start(self) -> None:
        """Start the process and return once it is ready.

        Raises:
            ServerNotFound: it ended or was not ready in time; its log is in the error.
        """
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if not self.wait_for(self._ready.pattern, timeout=self._start_timeout):
            state = "was not ready in time" if self.returncode is None else f"ended with {self.returncode}"
            raise ServerNotFound(server=f"Celery {self.command}", tried=f"{self!r} {state}", remedy=self.log)

    def wait_for(self, pattern: str, *, timeout: float = 10.0) -> bool:
        """Wait until the log holds a match of ``pattern``. False when the process ends or ``timeout`` seconds pass."""
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.log):
            if self.returncode is not None or time.monotonic() > deadline:
                return re.search(pattern, self.log) is not None
            time.sleep(_POLL_SECONDS)
        return True

    def stop(self) -> int:
        """Ask the process to finish what it does and end; kill it when it does not. Returns the exit code."""
        process = self._started
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return process.wait()

    def kill(self) -> None:
        """Kill the process and its children at once, as a crash of the machine would."""
        with suppress(ProcessLookupError):
            os.killpg(self._started.pid, signal.SIGKILL)
        self._started.wait()

    def close(self) -> None:
        """Leave nothing behind: neither a process nor the directory."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._directory.cleanup()

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerNotFound(
                server=f"Celery {self.command}", tried=f"{self!r} was not started", remedy="Call start()"
            )
        return self._process


class WorkerProcess(CeleryProcess):
    """A worker that consumes.

    ::

        with WorkerProcess("delivery.tasks.app", redis_url=redis_url, pool="threads") as worker:
            assert registry.ping.delay().get(timeout=10) == {"result": "pong"}

    Args:
        app: the module of the Celery app.
        redis_url: the ``REDIS_URL`` that it gets.
        pool: what runs the tasks: ``"lane"``, the pool of our own apps, or one of Celery's.
        concurrency: how many tasks at once; ``solo`` runs one.
        queues: the queues that it reads; None reads all that the app declares.
        mingle: whether it waits a second at its start for what other workers have to tell.
        arguments: further options of ``celery worker``.
        env: further variables.
        start_timeout: seconds until it must be ready.
        stop_timeout: seconds that running tasks get to finish at the end.
    """

    command = "worker"

    def __init__(
        self,
        app: str,
        *,
        redis_url: str | None,
        pool: Literal["lane", "prefork", "threads", "solo"] = "lane",
        concurrency: int = 2,
        queues: Sequence[str] | None = None,
        mingle: bool = False,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        start_timeout: float = 30.0,
        stop_timeout: float = 20.0,
    ) -> None:
        #: What the worker calls itself: the ``destination`` of remote control commands.
        self.node = f"test-{uuid4().hex[:12]}@localhost"
        options = [f"--hostname={self.node}", f"--concurrency={concurrency}"]
        if not mingle:
            options.append("--without-mingle")
        given = dict(env or {})
        if pool != "lane":
            # Celery takes --pool=prefork for its own default and looks into the settings, where ours is another.
            given["CELERY_WORKER_POOL"] = pool
            options.append(f"--pool={pool}")
        if queues is not None:
            options.append(f"--queues={','.join(queues)}")
        super().__init__(
            app,
            redis_url=redis_url,
            arguments=[*options, *arguments],
            env=given,
            ready=rf"{re.escape(self.node)} ready\.",
            start_timeout=start_timeout,
            stop_timeout=stop_timeout,
        )


class BeatProcess(CeleryProcess):
    """A beat that sends what is due. It keeps its schedule file in a directory of its own.

    Args:
        app: the module of the Celery app.
        redis_url: the ``REDIS_URL`` that it gets.
        arguments: further options of ``celery beat``.
        env: further variables.
        start_timeout: seconds until it must be ready.
    """

    command = "beat"

    def __init__(
        self,
        app: str,
        *,
        redis_url: str | None,
        arguments: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        start_timeout: float = 30.0,
    ) -> None:
        super().__init__(
            app, redis_url=redis_url, arguments=arguments, env=env, ready=r"beat: Starting", start_timeout=start_timeout
        )
        self._arguments.append(f"--schedule={self.directory / 'schedule'}")

    @override
    def start(self) -> None:
        """Start beat and return once its schedule is on disk.

        Beat says that it starts before it opens that file, and a SIGTERM in between ends it with an error.
        """
        super().start()
        deadline = time.monotonic() + self._start_timeout
        written: list[float] = []
        while len(written) < 2 or written[-1] != written[-2]:  # noqa: PLR2004  the same time twice: at rest
            if self.returncode is not None or time.monotonic() > deadline:
                raise ServerNotFound(server="Celery beat", tried=f"{self!r} wrote no schedule", remedy=self.log)
            files = list(self.directory.glob("schedule*"))
            written += [max(file.stat().st_mtime for file in files)] if files else []
            time.sleep(_POLL_SECONDS)
