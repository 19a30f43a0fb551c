"""A process that does nothing but fork children: it has no threads and no connections that a fork could break."""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from billiard.context import ForkContext

from celeriac.worker.parentage import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Birth", "Death", "Nursery"]

_ORDER: Final = struct.Struct("=i")
_NEWS: Final = struct.Struct("=iii")
_BORN, _DIED = 1, 2


class Birth(NamedTuple):
    """A child was forked."""

    slot: int
    pid: int


class Death(NamedTuple):
    """A child ended: ``status`` is its exit code, negative for a signal."""

    slot: int
    status: int


class Nursery:
    """The parent's handle on the process that forks its children.

    A worker's main process has threads and open connections, and another thread may hold a lock while one forks: the
    child would find that lock taken for ever. So the forks happen in a process that was made before all of them.

    Args:
        child: runs in each new child with its slot's number and its end of the pipe to the parent.
    """

    def __init__(self, child: Callable[[int, socket.socket], int]) -> None:
        self._socket, theirs = socket.socketpair()
        context: Any = ForkContext()
        self._process = context.Process(target=_serve, args=(theirs, self._socket, child), name="LaneNursery")
        self._process.start()
        theirs.close()
        self._news = b""

    def fileno(self) -> int:
        """Readable when there is news, or the process is gone."""
        return self._socket.fileno()

    @property
    def pid(self) -> int:
        """The process that forks."""
        return int(self._process.pid)

    def order(self, slot: int) -> socket.socket:
        """Ask for a child in a slot; returns the parent's end of the pipe to it.

        Raises:
            OSError: the process is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [_ORDER.pack(slot)], [theirs.fileno()])
        return ours

    def news(self) -> list[Birth | Death]:
        """What happened since the last call; blocks when nothing did.

        Raises:
            EOFError: the process is gone, and its children with it.
        """
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError
        self._news += data
        whole = len(self._news) // _NEWS.size * _NEWS.size
        read, self._news = self._news[:whole], self._news[whole:]
        return [
            Birth(slot, number) if kind == _BORN else Death(slot, number)
            for kind, slot, number in _NEWS.iter_unpack(read)
        ]

    def close(self, timeout: float = 5.0) -> None:
        """End the process, and with it all children that are left."""
        self._socket.close()
        self._process.join(timeout)
        if self._process.exitcode is None:
            os.kill(self.pid, signal.SIGKILL)
            self._process.join(timeout)


def _serve(orders: socket.socket, parents: socket.socket, child: Callable[[int, socket.socket], int]) -> int:
    die_with_parent()
    parents.close()
    for name in ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _woken)
    gc.collect()
    gc.freeze()  # else the collector of every child would touch, and so copy, all of its parent's memory
    context: Any = ForkContext()
    children: dict[int, Any] = {}
    born = 0
    while True:
        for slot, process in list(children.items()):
            if process.exitcode is not None:
                del children[slot]
                process.join()
                orders.sendall(_NEWS.pack(_DIED, slot, process.exitcode))
        watched: list[Any] = [orders, wake_read]
        readable, _, _ = select.select(watched, [], [])
        if wake_read in readable:
            with suppress(BlockingIOError):
                os.read(wake_read, 4096)
        if orders in readable:
            data, fds, _, _ = socket.recv_fds(orders, _ORDER.size, 1)
            if not data:  # the parent is gone or wants us gone
                for process in children.values():
                    with suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)
                return 0
            (slot,) = _ORDER.unpack(data)
            born += 1
            pipe = socket.socket(fileno=fds[0])
            process = context.Process(
                target=_live, args=(orders, (wake_read, wake_write), child, slot, pipe), name=f"LaneWorker-{born}"
            )
            process.start()
            pipe.close()
            children[slot] = process
            orders.sendall(_NEWS.pack(_BORN, slot, process.pid))


def _woken(signum: int, frame: Any) -> None:
    """The wakeup descriptor has been written to; that is all."""


def _live(
    orders: socket.socket,
    wake: tuple[int, int],
    child: Callable[[int, socket.socket], int],
    slot: int,
    pipe: socket.socket,
) -> None:
    die_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    orders.close()
    for end in wake:
        os.close(end)
    sys.exit(child(slot, pipe))
