"""Where the broker and the results are: from ``REDIS_URL``, or put together from single variables."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import quote, urlsplit

from pydantic import BaseModel, SecretStr

from celeriac.options.types import Count, Port

__all__ = ["BrokerAddress", "check_redis_url", "check_server_url", "is_rabbitmq", "is_redis"]

DEFAULT_BROKER: Final = "redis://localhost:6379/0"
DEFAULT_RESULTS: Final = "redis://localhost:6379/1"
EXAMPLE: Final = "write it like redis://:PASSWORD@HOST:6379/0"

_REDIS: Final = ("redis", "rediss", "sentinel", "redis+socket")
_RABBITMQ: Final = ("amqp", "amqps", "pyamqp", "librabbitmq")


def is_redis(url: str) -> bool:
    """Whether a URL is of a Redis server."""
    return url.partition("://")[0] in _REDIS


def is_rabbitmq(url: str) -> bool:
    """Whether a URL is of a RabbitMQ server."""
    return url.partition("://")[0] in _RABBITMQ


def check_redis_url(url: str) -> None:
    """Refuse what is no URL of a Redis server.

    Raises:
        ValueError: says what is wrong and what to write; never shows the URL, which may hold a password.
    """
    if not is_redis(url):
        problem = f"its scheme is none of {', '.join(_REDIS)}; {EXAMPLE}"
        raise ValueError(problem)
    check_server_url(url)


def check_server_url(url: str) -> None:
    """Refuse a URL of Redis or RabbitMQ that leads nowhere; URLs of anything else are left to their transports.

    Raises:
        ValueError: as :func:`check_redis_url`.
    """
    for single in url.split(";"):
        if (problem := _problem(single.strip())) is not None:
            # Outside of any `except`, so that no context of this error holds the URL.
            raise ValueError(problem)


def _problem(url: str) -> str | None:
    scheme, separator, _ = url.partition("://")
    if not separator or not re.fullmatch(r"[a-zA-Z][\w+.-]*", scheme):
        return f"it is no URL; {EXAMPLE}"
    if scheme == "redis+socket" or not (is_redis(url) or is_rabbitmq(url)):
        return None
    try:
        parts = urlsplit(url)
        reachable = parts.port is None or parts.port > 0
    except ValueError:
        return f"its port is no number from 1 to 65535 (percent-encode a password with / # or ?); {EXAMPLE}"
    if not parts.hostname or not reachable:
        return f"it names no host, or port 0; {EXAMPLE}"
    if is_redis(url) and not re.fullmatch(r"/?\d*/?", parts.path):
        return f"its database is no number; {EXAMPLE}"
    return None


class BrokerAddress(BaseModel, defer_build=True):
    """``REDIS_URL``, and the single variables from which the sources put a URL together.

    The single variables are in effect once one of ``CELERY_BROKER``, ``REDIS_HOST``, ``CELERY_RABBITMQ_HOST`` or
    ``CELERY_BROKER_REDIS_DATABASE`` is set. The others alone, such as a ``REDIS_PASSWORD`` that another program wants,
    do nothing.
    """

    redis_url: SecretStr | None = None
    broker: Literal["redis", "rabbitmq"] = "redis"
    rabbitmq_username: str = "guest"
    rabbitmq_password: SecretStr = SecretStr("guest")
    rabbitmq_host: str = "localhost"
    rabbitmq_port: Port = 5672
    rabbitmq_vhost: str = "/"
    redis_server_host: str = "localhost"
    redis_server_port: Port = 6379
    redis_server_password: SecretStr = SecretStr("")
    broker_redis_database: Count = 0

    def broker_address(self) -> str:
        """The broker's URL, where no variable gives it whole."""
        composed = {"broker", "redis_server_host", "rabbitmq_host", "broker_redis_database"} & self.model_fields_set
        if composed:
            return self._rabbitmq() if self._uses_rabbitmq() else self._redis()
        return DEFAULT_BROKER if self.redis_url is None else self.redis_url.get_secret_value()

    def result_address(self) -> str:
        """The result backend's URL, where no variable gives it whole: always a Redis server.

        Results of a composed RabbitMQ broker go to ``REDIS_URL`` unless ``REDIS_HOST`` or the database is set, too.
        """
        said = self.model_fields_set
        if {"redis_server_host", "broker_redis_database"} & said or ("broker" in said and self.broker == "redis"):
            return self._redis()
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        return self._redis() if self._uses_rabbitmq() else DEFAULT_RESULTS

    def _uses_rabbitmq(self) -> bool:
        # A RabbitMQ host alone says which broker is meant, unless CELERY_BROKER says otherwise.
        said = self.model_fields_set
        return self.broker == "rabbitmq" if "broker" in said else "rabbitmq_host" in said

    def _redis(self) -> str:
        password = self.redis_server_password.get_secret_value()
        login = f":{_encoded(password)}@" if password else ""
        return f"redis://{login}{_host(self.redis_server_host)}:{self.redis_server_port}/{self.broker_redis_database}"

    def _rabbitmq(self) -> str:
        login = f"{_encoded(self.rabbitmq_username)}:{_encoded(self.rabbitmq_password.get_secret_value())}"
        # The slash alone is RabbitMQ's name of its default virtual host, and travels encoded like any other.
        return f"amqp://{login}@{_host(self.rabbitmq_host)}:{self.rabbitmq_port}/{_encoded(self.rabbitmq_vhost)}"


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
