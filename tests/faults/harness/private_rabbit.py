"""A RabbitMQ node that may be killed: Debian's package, with nothing that the machine's own node uses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest
from tests.faults.harness.waiting import free_port, until

from celeriac.testing.servers import rabbitmq_answers

_START_SECONDS = 90.0
# The package's own place first: the one on PATH is a wrapper that changes user, and so loses the environment.
_SCRIPTS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server")


def find_rabbitmq_server() -> str | None:
    """The script that starts a node, or None where this machine has none."""
    return next((script for script in _SCRIPTS if os.access(script, os.X_OK)), None)


class PrivateRabbit:
    """One node on 127.0.0.1, with its own ports, name, cookie and data, as a context manager.

    Skips the test, with the reason, where RabbitMQ is not installed.

    Args:
        directory: where data and log are kept; made when missing.
    """

    def __init__(self, directory: Path) -> None:
        script = find_rabbitmq_server()
        if script is None or shutil.which("erl") is None:
            pytest.skip("needs RabbitMQ's server on this machine (Debian: apt install rabbitmq-server)")
        self._script = script
        self.directory = directory
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("rabbitmq.conf", "advanced.config", "env.conf", "plugins"):
            (directory / name).write_text("[]." if name in {"advanced.config", "plugins"} else "")
        (directory / "rabbitmq.conf").write_text("log.file.level = warning\nvm_memory_high_watermark.relative = 0.9\n")
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"faults{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Start the node, over the data of its last run, and return once it takes connections."""
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._script],
                env=self._env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: rabbitmq_answers(self.url), timeout=_START_SECONDS, what="the start of rabbitmq-server")

    def kill(self) -> None:
        """End the node as a crash would: the virtual machine, not only the script around it."""
        process = self._process
        if process is None:
            return
        with suppress(psutil.NoSuchProcess):
            tree = psutil.Process(process.pid).children(recursive=True)
            for each in tree:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self._process = None

    def _end(self) -> None:
        self.kill()
        if shutil.which("epmd"):  # Erlang's name server was started by the node, and outlives it
            subprocess.run(["epmd", "-kill"], env=self._env, capture_output=True, check=False, timeout=20)
