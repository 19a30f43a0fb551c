"""Signs of life in files, for probes that need neither the app nor the broker.

Whoever runs writes one small file, again and again, and says in it by when the next sign is due. A probe reads it. The
directory is ``CELERIAC_PROBE_DIRECTORY``, else one of the user's own where the system keeps temporary files.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["Kind", "Sign", "directory", "problem_of", "signs"]

Kind = Literal["worker", "beat"]
_STRANGE: Final = re.compile(r"[^A-Za-z0-9@._-]")


def directory() -> Path:
    """Where the files lie."""
    said = os.environ.get("CELERIAC_PROBE_DIRECTORY")
    return Path(said) if said else Path(tempfile.gettempdir()) / f"celeriac-{os.getuid()}"


@dataclass(slots=True)
class Sign:
    """A sign of life.

    Attributes:
        kind: of what.
        name: the worker's name, such as ``celery@host``; of beat, the host's.
        pid: its process.
        until: when it is to be taken for dead, unless it has given another; seconds since the epoch.
        ready_until: when it is no longer to be taken for ready.
    """

    kind: Kind
    name: str
    pid: int
    until: float = 0.0
    ready_until: float = 0.0

    @property
    def path(self) -> Path:
        """Its file."""
        return directory() / f"{self.kind}-{_STRANGE.sub('_', self.name)}.json"

    def write(self) -> None:
        """Give it.

        Raises:
            OSError: the file cannot be written.
        """
        path = self.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{self.pid}")
        fresh.write_text(json.dumps(asdict(self)), encoding="utf-8")
        fresh.replace(path)  # whole or not at all

    def remove(self) -> None:
        """Take it away: it ends as it should."""
        with suppress(OSError):
            self.path.unlink()

    def problem(self, *, ready: bool, now: float) -> str | None:
        """What is wrong; ``None`` if nothing is."""
        if not _runs(self.pid):
            return f"{self.kind} {self.name} (pid {self.pid}) is gone"
        if now > self.until:
            return f"{self.kind} {self.name} has given no sign of life since {now - self.until:.0f} s when one was due"
        if ready and now > self.ready_until:
            return f"{self.kind} {self.name} runs, and has consumed nothing lately"
        return None


def signs(kind: Kind, name: str | None = None) -> list[Sign]:
    """The signs of life of all workers or beats here, or of the one with this name."""
    found: list[Sign] = []
    for path in sorted(directory().glob(f"{kind}-*.json")):
        try:
            said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            sign = Sign(**said)
        except (OSError, ValueError, TypeError):
            continue
        if name is None or sign.name == name:
            found.append(sign)
    return found


def problem_of(kind: Kind, name: str | None = None, *, ready: bool = False) -> str | None:
    """What is wrong with the workers or beats here; ``None`` if nothing is.

    Args:
        kind: which.
        name: the one that is meant; all, unless said. Of several, those whose process is gone do not count as long as
            another is there.
        ready: whether it has to be ready, too: a message that it sent to itself came back lately.
    """
    found = signs(kind, name)
    now = time.time()
    if not found:
        return f"no {kind}{'' if name is None else f' {name}'} has ever given a sign of life in {directory()}"
    there = [sign for sign in found if _runs(sign.pid)] or found
    return next((said for sign in there if (said := sign.problem(ready=ready, now=now)) is not None), None)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
