"""The HTTP door: tasks run through it, other requests while the broker is away, and a thousand event streams."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final, cast

from benchmarks.processes import PATIENCE, Workers
from benchmarks.systems import ROOT
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from celery import Celery

__all__ = ["Door"]

OURS: Final = ("delivery.http.app:app", "/api/v1/tasks/ping")
USUAL: Final = ("benchmarks.peers.endpoint:app", "/ping")
CALLERS: Final = 16
"""Connections that each ask again as soon as they are answered."""
SECONDS: Final = 4.0
STREAMS, TASKS, STEPS = 1_000, 100, 5


class Door:
    """The measurements of the HTTP server over one Redis server.

    Args:
        url: a Redis database that may be emptied.
        rounds: how many pairs of runs each figure is the median of.
    """

    def __init__(self, url: str, rounds: int) -> None:
        self._url = url
        self._rounds = rounds

    def rows(self) -> Iterator[Row]:
        """Measure, and give each comparison as it is done."""
        ours: list[float] = []
        usual: list[float] = []
        for _ in range(self._rounds):
            for (app, path), rates in ((OURS, ours), (USUAL, usual)):
                with _server(app, self._url) as (port, _):
                    _ask(port, path, SECONDS / 4)
                    rates.append(_ask(port, path, SECONDS))
        yield Row("run a task over HTTP", "requests/s", ours, usual, "at least 3")
        away: list[float] = []
        idle: list[float] = []
        for _ in range(self._rounds):
            with _frozen_redis() as (url, process), _server(OURS[0], url) as (port, _):
                _ask(port, OURS[1], 0.2)
                idle.append(_other_requests(port, tasks=False))
                process.send_signal(signal.SIGSTOP)
                away.append(_other_requests(port, tasks=True))
        yield Row(
            "other requests while the broker hangs and tasks are sent, p99; beside it idle", "ms", away, idle, "below 2"
        )

    def streams(self) -> str:
        """How much a thousand listeners take, and how late they hear."""
        from celeriac import CeleryAppConfig, create_celery_app  # noqa: PLC0415  what it takes is not measured

        app = create_celery_app(CeleryAppConfig.from_mapping({"redis_url": self._url}))
        with _server(OURS[0], self._url) as (port, server):
            late = _Listeners(app, port).run()
            memory = server.memory()
        app.close()
        seen = quantiles(late, n=100)[-1] * 1e3
        return (
            f"{STREAMS:,} event streams over {TASKS} tasks on one process: {memory:.0f} MiB (goal: below 250);"
            f" progress is seen within {seen:.0f} ms at the 99th percentile of {len(late):,} (goal: 250)."
        )


@contextmanager
def _server(app: str, url: str) -> Generator[tuple[int, Workers]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = (sys.executable, "-m", "uvicorn", app, f"--port={port}", "--no-access-log", "--log-level=info")
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            "REDIS_URL": url,
            "DATABASE_URL": f"sqlite:///{directory}/history.db",
            "ENVIRONMENT": "development",
            "HTTP_AUTH": "off",
            "LOGGING_LEVEL": "WARNING",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
        }
        with Workers([command], environment) as server:
            _until_it_listens(port, server)
            yield port, server


def _until_it_listens(port: int, server: Workers) -> None:
    while True:
        server.check()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


@contextmanager
def _frozen_redis() -> Generator[tuple[str, subprocess.Popen[bytes]]]:
    """A server that the caller may stop, and that goes on at the end."""
    from celeriac.testing.embedded import find_redis_server  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "redis.sock")
        command = [str(find_redis_server()), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not path.exists():
                time.sleep(0.01)
            yield f"redis+socket://{path}", process
        finally:
            process.kill()
            process.wait()


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


class _Connection:
    """One client, with as little of its own as can be."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self, request: bytes) -> None:
        self.socket.sendall(request)

    def answer(self) -> int:
        """The status of an answer that is whole, or 0 while it is not."""
        data = self.socket.recv(1 << 16)
        if not data:
            msg = "the server hung up"
            raise RuntimeError(msg)
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found:
            return 0
        at = head.lower().index(b"content-length:") + 15
        if len(body) < int(head[at:].partition(b"\r\n")[0]):
            return 0
        self._read = b""
        return int(head[9:12])

    def ask(self, request: bytes) -> int:
        self.send(request)
        while not (status := self.answer()):
            pass
        return status


def _ask(port: int, path: str, seconds: float) -> float:
    """Requests a second that were taken."""
    request = _request("POST", path, b"{}")
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        for _ in range(CALLERS):
            each = _Connection(port)
            stack.callback(each.socket.close)
            selector.register(each.socket, selectors.EVENT_READ, each)
            each.send(request)
        taken, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            for key, _ in selector.select(1):
                status = key.data.answer()
                if not status:
                    continue
                if status != 202:  # noqa: PLR2004  accepted
                    msg = f"{path} answered {status}"
                    raise RuntimeError(msg)
                taken += 1
                key.data.send(request)
        return taken / (time.perf_counter() - started)


def _other_requests(port: int, *, tasks: bool) -> float:
    """Milliseconds that a request for nothing takes at the 99th percentile, beside 20 tasks a second or none."""
    spent: list[float] = []
    waiting: list[_Connection] = []
    other, nothing, ping = _Connection(port), _request("GET", "/healthz"), _request("POST", OURS[1], b"{}")
    for number in range(400):
        if tasks and number % 5 == 0:
            waiting.append(_Connection(port))
            waiting[-1].send(ping)
        started = time.perf_counter()
        other.ask(nothing)
        spent.append(time.perf_counter() - started)
        time.sleep(0.01)
    for each in waiting:
        while not (status := each.answer()):
            pass
        each.socket.close()
        if status != 503:  # noqa: PLR2004  unavailable, and nothing else
            msg = f"a task was answered by {status} while the broker hung"
            raise RuntimeError(msg)
    other.socket.close()
    return quantiles(spent, n=100)[-1] * 1e3


class _Listeners:
    """Streams of events, and when each of them heard of each step."""

    def __init__(self, app: Celery, port: int) -> None:
        self._backend: Any = app.backend
        self._port = port
        self._ids = [f"streamed-{number}" for number in range(TASKS)]

    def run(self) -> list[float]:
        """Seconds from each report to each that heard of it."""
        for task_id in self._ids:
            self._backend.store_result(task_id, None, "STARTED")
        late: list[float] = []
        listening: set[socket.socket] = set()
        with selectors.DefaultSelector() as selector, ExitStack() as stack:
            for number in range(STREAMS):
                task_id = self._ids[number % TASKS]
                each = socket.create_connection(("127.0.0.1", self._port), 30)
                stack.callback(each.close)
                each.sendall(_request("GET", f"/api/v1/tasks/{task_id}/events"))
                selector.register(each, selectors.EVENT_READ, task_id)
            until = time.monotonic() + PATIENCE
            while len(listening) < STREAMS:
                for ready, _ in selector.select(1):
                    each = cast("socket.socket", ready.fileobj)
                    if b"event: state" in each.recv(1 << 16):
                        listening.add(each)
                if time.monotonic() > until:
                    msg = f"{len(listening)} of {STREAMS} streams were let in within {PATIENCE:.0f} s"
                    raise TimeoutError(msg)
            for step in range(1, STEPS + 1):
                told: dict[bytes, float] = {}
                for task_id in self._ids:
                    key = f'"{task_id}","status":"PROGRESS"'.encode()
                    told[key] = time.perf_counter()
                    self._backend.store_result(task_id, {"current": step, "total": STEPS}, "PROGRESS")
                    self._drain(selector, 0.02, told, late)
                self._drain(selector, 0.5, told, late)
        if len(late) < STREAMS * STEPS * 0.99:
            msg = f"{len(late)} of {STREAMS * STEPS} reports were seen"
            raise RuntimeError(msg)
        return late

    @staticmethod
    def _drain(selector: selectors.BaseSelector, seconds: float, told: dict[bytes, float], late: list[float]) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            for key, _ in selector.select(left):
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]  # a socket
                mark = f'"{key.data}","status":"PROGRESS"'.encode()
                if mark in told and mark in data:
                    late.append(time.perf_counter() - told[mark])
