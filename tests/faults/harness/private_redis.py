"""A Redis server that may be killed, stopped, emptied and filled up."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from tests.faults.harness.waiting import free_port, until

from celeriac.testing.embedded import answers, find_redis_server

_START_SECONDS = 30.0


class PrivateRedis:
    """One server on 127.0.0.1, as a context manager. Its port and its directory stay the same over restarts.

    Args:
        directory: where data and log are kept; made when missing.
        aof: whether writes go to an append-only file, so that they outlast a killed server.
        policy: ``maxmemory-policy``.
        maxmemory: bytes, or None for no limit.
        options: further lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        *,
        aof: bool = True,
        policy: str = "noeviction",
        maxmemory: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.directory = directory
        self._options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(directory),
            "logfile": str(directory / "redis.log"),
            "save": "",
            "appendonly": "yes" if aof else "no",
            "maxmemory-policy": policy,
            "maxmemory": str(maxmemory or 0),
            **(options or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None
        # Any: redis-py types every reply as what both of its clients and both protocols may give.
        self.client: Any = Redis.from_url(
            self.url, socket_timeout=10, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()
        self.kill()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def start(self) -> None:
        """Start the server, over the data of its last run, and return once it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        arguments = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(find_redis_server()), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: answers(self.url), timeout=_START_SECONDS, what="the start of redis-server")

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL also ends one that is stopped)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the server in good order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=_START_SECONDS)
            self._process = None

    def freeze(self) -> None:
        """Stop the server's process: connections stay open, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal(signal.SIGCONT)

    def pause(self, seconds: float) -> None:
        """``CLIENT PAUSE``: the server holds every command back."""
        self.client.execute_command("CLIENT", "PAUSE", str(int(seconds * 1000)), "ALL")

    def flush(self) -> None:
        """Delete everything."""
        self.client.flushall()

    def configure(self, name: str, value: str) -> None:
        """``CONFIG SET``, and for later starts too."""
        self._options[name] = value
        self.client.config_set(name, value)

    def connections(self) -> int:
        """How many clients are connected, but for this one."""
        return sum(1 for _ in self.client.client_list()) - 1

    @property
    def log(self) -> str:
        """What the server wrote."""
        with suppress(FileNotFoundError):
            return (self.directory / "redis.log").read_text(errors="replace")
        return ""

    def is_up(self) -> bool:
        """Whether it answers now."""
        try:
            return bool(self.client.ping())
        except (RedisError, OSError):
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(number)
