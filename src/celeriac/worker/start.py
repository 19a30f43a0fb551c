"""An honest start: in production no worker runs on a broker that would lose its tasks."""

from __future__ import annotations

import logging
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from amqp.exceptions import AMQPError
from celery.bootsteps import Step
from kombu.utils.url import maybe_sanitize_url
from redis.exceptions import RedisError, ResponseError

from celeriac.exceptions import UnsafeBroker
from celeriac.options.address import is_rabbitmq, is_redis
from celeriac.transport.link import Link, connector
from celeriac.transport.rabbitmq.check import check_rabbitmq

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

__all__ = ["HonestStart", "check_broker", "check_redis"]

logger = logging.getLogger(__name__)

OLDEST: Final = (6, 2)
"""The oldest Redis that has all the commands that are used here."""
MEND: Final = {"appendonly": "yes", "maxmemory-policy": "noeviction"}
_LOSES: Final = {
    "appendonly": "it keeps nothing on disk (appendonly is {value})",
    "maxmemory-policy": "when it is full it drops data (maxmemory-policy is {value})",
}
_IN_INFO: Final = {"appendonly": ("persistence", "aof_enabled"), "maxmemory-policy": ("memory", "maxmemory_policy")}
_LONGEST_WAIT: Final = 2.0


class HonestStart(Step):
    """The step of a worker, whatever its pool, that looks at the broker before anything is taken from it."""

    def create(self, parent: Any) -> None:
        """Check the broker.

        Raises:
            UnsafeBroker: it would lose tasks, and this is production.
        """
        check_broker(parent.app)


def check_broker(app: Celery) -> None:
    """Refuse a broker that would lose tasks; outside of production, or where it is asked for, only warn.

    Waits for a broker that does not answer yet, as the worker would: one that starts later is checked as well.

    Raises:
        UnsafeBroker: it would lose tasks, and this is production.
    """
    conf: Any = app.conf
    url = str(conf.broker_read_url or "")
    if is_redis(url):
        check: Callable[[], None] = partial(check_redis, app, url)
    elif is_rabbitmq(url):
        check = partial(_check_rabbitmq, app)
    else:
        return
    try:
        _once_it_answers(check, patient=bool(conf.broker_connection_retry_on_startup))
    except UnsafeBroker as error:
        if conf.get("environment") == "production" and not conf.get("broker_allow_unsafe"):
            raise
        logger.warning("%s", error)


def check_redis(app: Celery, url: str) -> None:
    """Look at the settings of a Redis server that decide whether it keeps what it took.

    A managed server may forbid ``CONFIG``, and tells them by ``INFO`` instead; one that forbids both is only warned of.

    Raises:
        UnsafeBroker: it is too old, writes nothing to disk, or drops data when it is full.
        redis.exceptions.ConnectionError: it does not answer.
    """
    conf: Any = app.conf
    said: dict[str, Any] = conf.broker_transport_options or {}
    options = {"ssl": conf.broker_use_ssl or None, **said}
    link = Link(connector(url, options=options, protocol=2), timeout=5.0)
    broker = maybe_sanitize_url(url)
    try:
        version = _version(link)
        found = {name: _setting(link, name) for name in MEND}
    finally:
        link.close()
    problems = [_LOSES[name].format(value=value) for name, value in found.items() if value not in {None, MEND[name]}]
    remedy = _how_to_mend([name for name, value in found.items() if value not in {None, MEND[name]}])
    if version is not None and version < OLDEST:
        problems.insert(0, f"its version {'.'.join(map(str, version))} is older than {'.'.join(map(str, OLDEST))}")
    if problems:
        raise UnsafeBroker(broker=broker, problems="; ".join(problems), remedy=remedy)
    if unknown := [name for name, value in found.items() if value is None]:
        logger.warning("%s does not tell %s: whether it keeps its tasks is unknown", broker, " and ".join(unknown))


def _check_rabbitmq(app: Celery) -> None:
    for problem in check_rabbitmq(app):
        logger.warning("%s. %s", problem.text, problem.remedy)


def _once_it_answers(check: Callable[[], None], *, patient: bool) -> None:
    wait = 0.2
    while True:
        try:
            return check()
        except (RedisError, AMQPError, OSError) as error:
            if not patient:
                logger.warning("the broker was not checked: %s", error)  # and the worker will say the rest
                return None
            logger.error("the broker does not answer, and is asked again in %.1f s: %s", wait, error)  # noqa: TRY400
            time.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)


def _how_to_mend(names: list[str]) -> str:
    if not names:
        return ""
    commands = "".join(f"\n    CONFIG SET {name} {MEND[name]}" for name in names)
    lines = "".join(f"\n    {name} {MEND[name]}" for name in names)
    return f" Mend it while it runs with{commands}\n    CONFIG REWRITE\nor by its redis.conf:{lines}"


def _version(link: Link) -> tuple[int, ...] | None:
    """What the server says of itself; since Redis 6 to anybody who may log in."""
    try:
        greeting = cast("list[Any]", link.call("HELLO"))
        told = dict(zip(greeting[::2], greeting[1::2], strict=False))[b"version"].decode()
    except ResponseError:
        told = _info(link, "server", "redis_version") or ""
    found = re.match(r"(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else None


def _setting(link: Link, name: str) -> str | None:
    """A setting of the server, or None where it tells nobody."""
    try:
        answer = cast("list[bytes]", link.call("CONFIG", "GET", name))
    except ResponseError:
        answer = []
    if answer:
        return answer[1].decode()
    told = _info(link, *_IN_INFO[name])
    return {"1": "yes", "0": "no"}.get(told, told) if name == "appendonly" and told else told


def _info(link: Link, section: str, key: str) -> str | None:
    try:
        told = cast("bytes", link.call("INFO", section)).decode()
    except ResponseError:
        return None
    found = re.search(rf"^{key}:(\S+)", told, re.MULTILINE)
    return found[1] if found else None
