"""A process beside a worker that renews its lease, whatever holds the worker's interpreter."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from celeriac.transport.redis.leases import RENEWALS
from celeriac.worker.parentage import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celeriac.flow.tenure import Tenure
    from celeriac.worker.leasing import Leasing

__all__ = ["Guardian", "is_stopped"]

logger = logging.getLogger(__name__)

_AGAIN: Final = 0.5
"""Seconds until a server that was out of reach is tried again."""
_TO_END: Final = 2.0
_IGNORED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
)


class Guardian:
    """The worker's handle on that process. It is forked when this is made: before the worker has threads.

    Where tasks run in the worker's own process, one that holds Python's lock keeps every thread of it from renewing.
    The process ends with the worker, and does nothing for one that is stopped: others shall take over from it.

    Args:
        leasing: where the leases of messages are, if their broker knows any.
        tenure: of what running tasks hold, if any can.
    """

    def __init__(self, leasing: Leasing | None, tenure: Tenure | None = None) -> None:
        parent = os.getpid()
        gc.collect()
        gc.freeze()  # what the collector touches later is copied, in the worker as well
        theirs, ours = os.pipe()
        self._pipe = ours
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _IGNORED)
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(ours)
                _settle_in()
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
                _serve(theirs, _Renewing(leasing, tenure), lambda: os.getppid() == parent, lambda: is_stopped(parent))
            finally:
                os._exit(0)  # past all that the worker wants done at its own end
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(theirs)

    def guard(self, owners: Iterable[str]) -> None:
        """Renew the leases of these owners, and of no others, from now on."""
        with suppress(OSError):  # it is gone: the worker's own thread renews still
            os.write(self._pipe, " ".join(owners).encode() + b"\n")

    def close(self) -> None:
        """End the process."""
        if self._pipe < 0:
            return
        pipe, self._pipe = self._pipe, -1
        os.close(pipe)
        deadline = time.monotonic() + _TO_END
        with suppress(ChildProcessError, ProcessLookupError):  # a task may have waited for any child
            while not os.waitpid(self.pid, os.WNOHANG)[0]:
                if time.monotonic() > deadline:  # it waits for a server that does not answer
                    os.kill(self.pid, signal.SIGKILL)
                time.sleep(0.01)


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal or a debugger. Where the system does not tell, it was not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] in {"T", "t"}


def _settle_in() -> None:
    die_with_parent()
    for each in _IGNORED:  # a terminal sends them to all; the pipe says when it is time
        signal.signal(each, signal.SIG_IGN)
    gc.disable()  # what the collector touched would be copied


class _Renewing:
    """What is renewed: the leases of messages, of running tasks, or both."""

    def __init__(self, leasing: Leasing | None, tenure: Tenure | None) -> None:
        self._broker = None if leasing is None else leasing.broker()
        self._tenure = tenure
        self.owners: list[str] = []
        """In whose name messages are held."""
        times = [] if leasing is None else [leasing.lease / RENEWALS]
        self.every = min(times if tenure is None else [*times, tenure.every])

    def __call__(self) -> None:
        if self._tenure is not None:
            self._tenure.tick()
        if self._broker is not None and self.owners:
            self._broker.renew(self.owners)


def _serve(pipe: int, renew: _Renewing, lives: Callable[[], bool], stopped: Callable[[], bool]) -> None:
    every = renew.every
    renew_at, said = time.monotonic() + every, b""
    while lives():
        if select.select([pipe], [], [], max(renew_at - time.monotonic(), 0.0))[0]:
            heard = os.read(pipe, 4096)
            if not heard:
                return
            *lines, said = (said + heard).split(b"\n")
            if lines:
                renew.owners = lines[-1].decode().split()
        if time.monotonic() < renew_at:
            continue
        renew_at = time.monotonic() + every
        if stopped():
            continue
        try:
            renew()
        except RedisError:  # the worker complains by itself
            renew_at = time.monotonic() + min(_AGAIN, every)
