"""A Redis with a replica and a Sentinel that puts the replica in its place when it dies."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError
from tests.faults.harness.private_redis import PrivateRedis
from tests.faults.harness.waiting import free_port, until

from celeriac.testing.embedded import find_redis_server

_NAME = "faults"
_CONFIGURATION = """\
port {port}
bind 127.0.0.1
dir "{directory}"
sentinel monitor {name} 127.0.0.1 {master} 1
sentinel down-after-milliseconds {name} 1000
sentinel failover-timeout {name} 5000
"""


class WatchedRedis:
    """Master, replica and one Sentinel, as a context manager.

    Args:
        directory: where they keep their data.
    """

    name = _NAME

    def __init__(self, directory: Path) -> None:
        self.master = PrivateRedis(directory / "master")
        self.replica = PrivateRedis(
            directory / "replica",
            options={"replicaof": f"127.0.0.1 {self.master.port}", "repl-diskless-sync-delay": "0"},
        )
        self.port = free_port()
        self.url = f"sentinel://127.0.0.1:{self.port}/0"
        self._directory = directory / "sentinel"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.master.start()
            self.replica.start()
            self._start_sentinel()
            until(self._replicates, what="replication")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def replicated(self) -> bool:
        """Whether the replica has all that the master has."""
        return int(self.master.client.execute_command("WAIT", 1, 5000)) >= 1

    def promoted(self) -> bool:
        """Whether the replica is the master now."""
        role: str = self.replica.client.info("replication")["role"]
        return role == "master"

    def _start_sentinel(self) -> None:
        self._directory.mkdir(parents=True)
        file = self._directory / "sentinel.conf"
        file.write_text(
            _CONFIGURATION.format(port=self.port, directory=self._directory, name=_NAME, master=self.master.port)
        )
        self._process = subprocess.Popen(
            [str(find_redis_server()), str(file), "--sentinel"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _replicates(self) -> bool:
        with Redis(port=self.port, socket_timeout=2) as sentinel:
            try:
                replicas: Any = sentinel.execute_command("SENTINEL", "REPLICAS", _NAME)
                return len(replicas) == 1 and self.replicated()
            except RedisError:
                return False

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for server in (self.replica, self.master):
            server.client.close()
            server.kill()
