"""The Redis server that is measured on, and what it counted."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import redis

from celeriac.testing.embedded import EmbeddedRedis

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["BenchServer", "Counted"]


@dataclass(frozen=True, slots=True)
class Counted:
    """What the server did so far.

    Attributes:
        commands: carried out, those inside of scripts among them (INFO commandstats).
        reads: from clients' sockets (INFO total_reads_processed). One request, or one pipeline of at most 16 KiB, is
            one read: as near to a round trip as a server can tell.
        cpu: seconds of processor time.
    """

    commands: int
    reads: int
    cpu: float

    def __sub__(self, other: Counted) -> Counted:
        return Counted(self.commands - other.commands, self.reads - other.reads, self.cpu - other.cpu)


class BenchServer:
    """A server of our own, without persistence unless asked for.

    Args:
        persistent: whether it writes an append-only file, synced each second.
    """

    def __init__(self, *, persistent: bool) -> None:
        self._persistent = persistent

    def __enter__(self) -> Self:
        self._directory = tempfile.TemporaryDirectory()
        self._server = EmbeddedRedis(Path(self._directory.name))
        self.url = self._server.start()
        self.client: Any = redis.Redis.from_url(self.url)
        if not self._persistent:
            self.client.config_set("appendonly", "no")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()
        self._server.kill()
        self._directory.cleanup()

    @property
    def version(self) -> str:
        """The server's version."""
        return str(self.client.info("server")["redis_version"])

    def empty(self) -> None:
        """Forget everything."""
        self.client.flushall()

    def counted(self) -> Counted:
        """What it did so far, this question left out."""
        info = self.client.info("everything")
        commands = sum(
            each["calls"]
            for name, each in info.items()
            if name.startswith("cmdstat_") and name.removeprefix("cmdstat_") not in {"info", "llen"}
        )
        cpu = info["used_cpu_sys"] + info["used_cpu_user"]
        return Counted(commands, info["total_reads_processed"] - self._own_reads(), cpu)

    def _own_reads(self) -> int:
        """Reads of this very client: each of its commands is one."""
        stats = self.client.info("commandstats")
        return sum(int(stats.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("info", "llen"))
