"""Where tests get their servers from: the one that is named, else one in Docker, else one of this machine.

Every run gets a part that nobody else has, so runs side by side do not meet: on Redis a server or a numbered database,
on RabbitMQ a virtual host.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from uuid import uuid4

from amqp.exceptions import AMQPError
from kombu import Connection

from celeriac.exceptions import ServerNotFound
from celeriac.testing.containers import docker_engine_answers, rabbitmq_container, redis_container
from celeriac.testing.databases import own_database
from celeriac.testing.embedded import EmbeddedRedis, answers

if TYPE_CHECKING:
    from collections.abc import Generator

    from celeriac.testing.containers import Executes

__all__ = ["rabbitmq_server", "redis_server"]

_LOCAL_RABBITMQ = "amqp://guest:guest@localhost:5672//"


@contextmanager
def redis_server() -> Generator[str]:
    """The URL of an empty Redis database of one's own.

    In this order: a database of ``TEST_REDIS_URL`` that nobody uses; a container, where a Docker engine answers; the
    binary of this machine (:class:`EmbeddedRedis`).

    Raises:
        ServerNotFound: none of the three; the error says what would help.
    """
    with ExitStack() as stack:
        yield _redis(stack)


@contextmanager
def rabbitmq_server() -> Generator[str]:
    """The URL of a RabbitMQ virtual host of one's own.

    In this order: ``TEST_RABBITMQ_URL``; the usual guest account on localhost; a container, where a Docker engine
    answers. AMQP itself cannot make a virtual host: ``rabbitmqctl`` does, inside the container or, for the first two,
    on this machine. Where it may not, the URL comes as it is, and tests that share it need queue names of their own.

    Raises:
        ServerNotFound: none of the three; the error says what would help.
    """
    named = os.environ.get("TEST_RABBITMQ_URL")
    if named or rabbitmq_answers(_LOCAL_RABBITMQ):
        with _own_virtual_host(named or _LOCAL_RABBITMQ, _rabbitmqctl_here) as url:
            yield url
    elif docker_engine_answers():
        with rabbitmq_container(rabbitmq_answers) as (base, execute), _own_virtual_host(base, execute) as url:
            yield url
    else:
        raise ServerNotFound(
            server="RabbitMQ",
            tried="TEST_RABBITMQ_URL is not set, none answers on localhost:5672, and no Docker engine answers",
            remedy="Start one of the three",
        )


def _redis(stack: ExitStack) -> str:
    if named := os.environ.get("TEST_REDIS_URL"):
        return stack.enter_context(own_database(named))
    if docker_engine_answers():
        with suppress(ServerNotFound):  # an engine that cannot get the image is as good as none
            return stack.enter_context(redis_container(answers))
    directory = stack.enter_context(TemporaryDirectory(prefix="celeriac-redis-"))
    return stack.enter_context(EmbeddedRedis(Path(directory))).url


def rabbitmq_answers(url: str) -> bool:
    """Whether a RabbitMQ server takes this URL, account and virtual host included."""
    try:
        with Connection(url, connect_timeout=2) as connection:
            connection.connect()
    except (AMQPError, OSError):
        return False
    return True


@contextmanager
def _own_virtual_host(base: str, execute: Executes) -> Generator[str]:
    name = f"celeriac-{uuid4().hex[:12]}"
    user = urlsplit(base).username or "guest"
    if execute("rabbitmqctl", "add_vhost", name) != 0:
        yield base
        return
    try:
        execute("rabbitmqctl", "set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield urlsplit(base)._replace(path=f"/{quote(name)}").geturl()
    finally:
        execute("rabbitmqctl", "delete_vhost", name)


def _rabbitmqctl_here(*command: str) -> int:
    if shutil.which(command[0]) is None:
        return 127
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode
