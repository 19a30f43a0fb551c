"""Servers in Docker containers, by testcontainers, where an engine answers."""

from __future__ import annotations

import os
import secrets
import socket
import time
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from celeriac.exceptions import ServerNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from testcontainers.core.container import DockerContainer

__all__ = ["docker_engine_answers", "rabbitmq_container", "redis_container"]

REDIS_IMAGE = "redis:7-alpine"
RABBITMQ_IMAGE = "rabbitmq:4-management"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.1


class Executes(Protocol):
    """Runs a command beside a server and returns its exit code."""

    def __call__(self, *command: str) -> int: ...


def docker_engine_answers() -> bool:
    """Whether testcontainers is installed and a Docker engine answers it."""
    if find_spec("testcontainers") is None or find_spec("docker") is None:
        return False
    if not _socket_answers():
        return False
    from docker.errors import DockerException  # noqa: PLC0415

    import docker  # noqa: PLC0415 - optional: it comes with testcontainers

    try:
        client = docker.from_env(timeout=5)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except DockerException:
        return False


def _socket_answers() -> bool:
    """Whether somebody listens where Docker would. Docker's own client leaves its socket open when nobody does."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(host.removeprefix("unix://"))
        except OSError:
            return False
    return True


@contextmanager
def redis_container(answers: Callable[[str], bool]) -> Generator[str]:
    """The URL of a Redis in a container of its own, behind a random password.

    Raises:
        ServerNotFound: the engine cannot run it, or it does not answer within a minute.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - optional

    password = secrets.token_urlsafe(24)
    container = DockerContainer(REDIS_IMAGE).with_exposed_ports(6379)
    durable = ["--appendonly", "yes", "--maxmemory-policy", "noeviction"]
    container.with_command(["redis-server", "--requirepass", password, *durable])
    with _running(container):
        url = f"redis://:{password}@{container.get_container_host_ip()}:{container.get_exposed_port(6379)}/0"
        _wait(REDIS_IMAGE, url, answers)
        yield url


@contextmanager
def rabbitmq_container(answers: Callable[[str], bool]) -> Generator[tuple[str, Executes]]:
    """The URL of a RabbitMQ in a container of its own, and a way to run its ``rabbitmqctl``.

    Raises:
        ServerNotFound: the engine cannot run it, or it does not answer within a minute.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - optional

    password = secrets.token_urlsafe(24)
    container = DockerContainer(RABBITMQ_IMAGE).with_exposed_ports(5672)
    container.with_env("RABBITMQ_DEFAULT_USER", "tests").with_env("RABBITMQ_DEFAULT_PASS", password)

    def execute(*command: str) -> int:
        return container.exec(list(command)).exit_code or 0

    with _running(container):
        url = f"amqp://tests:{password}@{container.get_container_host_ip()}:{container.get_exposed_port(5672)}//"
        _wait(RABBITMQ_IMAGE, url, answers)
        yield url, execute


@contextmanager
def _running(container: DockerContainer) -> Generator[None]:
    from docker.errors import DockerException  # noqa: PLC0415 - optional

    try:
        container.start()
    except DockerException as error:
        raise ServerNotFound(
            server=container.image, tried=f"Docker answers but cannot run it ({error})", remedy="docker pull it first"
        ) from error
    try:
        yield
    finally:
        container.stop()


def _wait(image: str, url: str, answers: Callable[[str], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not answers(url):
        if time.monotonic() > deadline:
            raise ServerNotFound(
                server=image,
                tried=f"its container did not answer within {_START_SECONDS:g} s",
                remedy="See docker logs",
            )
        time.sleep(_POLL_SECONDS)
