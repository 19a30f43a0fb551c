"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.systems import bench_python

if TYPE_CHECKING:
    from benchmarks.server import BenchServer

__all__ = ["machine"]

_PEERS = ("dramatiq", "taskiq", "taskiq-redis", "huey", "saq", "streaq", "arq", "rq")
_ASK = "import sys; from importlib.metadata import version; print(', '.join(f'{n} {version(n)}' for n in sys.argv[1:]))"


def machine(server: BenchServer, *, persistent: bool) -> dict[str, str]:
    """Its cores, its software and the versions of all that was measured."""
    peers = subprocess.run([bench_python(), "-c", _ASK, *_PEERS], capture_output=True, text=True, check=True)
    ours = ", ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "redis", "hiredis", "pydantic"))
    kept = "append-only file synced each second" if persistent else "no persistence"
    return {
        "Machine": f"{len(os.sched_getaffinity(0))} cores, {_processor()}, {_system()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Load": f"{os.getloadavg()[0]:.1f} when it began, which should be next to nothing",
        "Redis": f"{server.version} on loopback, {kept}",
        "Versions": f"{ours}, {peers.stdout.strip()}",
    }


def _processor() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    return names[0].partition(":")[2].strip() if names else platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()
