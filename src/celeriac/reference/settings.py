"""The reference of settings, written from the code that reads them."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from celery.app.defaults import DEFAULTS
from pydantic import SecretStr

from celeriac.options.address import DEFAULT_BROKER, DEFAULT_RESULTS, BrokerAddress
from celeriac.options.conf import RABBITMQ_TRANSPORT, REDIS_TRANSPORT, RESULT_TRANSPORT
from celeriac.options.delivery import DeliveryOptions
from celeriac.options.history import HistoryOptions
from celeriac.options.security import SecurityOptions
from celeriac.options.table import CeleryOptions, UnlistedOptions
from celeriac.options.variables import variables_of
from celeriac.settings import CelerySettings

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["settings_table"]

_CELERY: Final = "https://docs.celeryq.dev/en/stable/userguide/configuration.html#std-setting-"

# What to write for each type, by the name that the type has in celeriac.options.types.
_WORDS: Final = {
    "BeatSchedule": "JSON: entries by name",
    "Callable[..., Any]": "",
    "Count": "whole number",
    "Fraction": "more than 0, at most 1",
    "PositiveCount": "whole number from 1",
    "PositiveSeconds": "seconds",
    "DeliveryMode": "transient or persistent",
    "JsonObject": "JSON object",
    "Kibibytes": "KiB",
    "Milliseconds": "milliseconds",
    "Names": "comma list or JSON",
    "Port": "port",
    "Priority": "0 to 255",
    "QueueTable": "comma list of names, or JSON",
    "Routes": "JSON, or a dotted name",
    "SecretObject": "JSON object (secret)",
    "SecretStr": "text (secret)",
    "SecretUrl": "URL (secret)",
    "Seconds": "seconds",
    "Symbol": "dotted name",
    "TimeZoneName": "time zone",
    "WholeSeconds": "whole seconds",
    "Environment": "production, development or test",
    "Annotations": "JSON, or a dotted name",
    "bool": "true or false",
    "Protocol": "1 or 2",
    "float": "number",
    "int": "whole number",
    "str": "text",
}

_OURS: Final = {
    "app_name": "The application's name, `app.main`.",
    "environment": "Where it runs. In production, tasks that run inside their callers are refused.",
    "autodiscover": "Packages whose module `tasks` is imported.",
    "task_max_retries": "Retries after the first attempt, for tasks that say nothing else.",
    "task_default_retry_delay": "Wait before a retry, for tasks that say nothing else.",
    "result_backend_pool_limit": "Connections of the result backend; another name of `redis_max_connections`.",
    "worker_async_concurrency": "Coroutines that one worker process runs at the same time.",
    "task_max_deliveries": "Deliveries of one message that ended with their worker, before it becomes a dead letter.",
    "broker_lease": "Seconds for which a message is lent to a worker that is not heard of; then another gets it.",
    "publish_timeout": "Seconds in which a publish succeeds or fails, whatever happened to the broker.",
    "broker_allow_unsafe": "In production, start on a broker that could lose messages, with a warning.",
    "broker_memory_high_water": "Part of Redis's `maxmemory` at which publishers are refused.",
    "history_enabled": "Write down what happens to each task; needs the extra `sql`.",
    "history_database_url": "Where to: `sqlite:///file.db` or `postgresql://user:password@host/name`.",
    "outbox_enabled": "Have workers send what `delay_on_commit()` wrote into that database.",
    "history_retention": "Seconds after which a task is forgotten of which nothing was heard since; 0 for never.",
    "history_backlog": "Entries that wait on Redis while the database is away; of more, the oldest are lost.",
    "history_value_size": "Characters of arguments and results that are kept whole.",
    "result_encryption_keys": "Results are stored encrypted, and no others are read; the first key encrypts.",
    "task_signing_keys": "Messages are signed, and no others are run; the first key signs.",
    "redis_url": "Server of both broker and results.",
    "broker": "`redis` or `rabbitmq`: which broker's single variables make the URL.",
    "rabbitmq_username": "User of the composed RabbitMQ URL.",
    "rabbitmq_password": "Password of the composed RabbitMQ URL; any characters.",
    "rabbitmq_host": "Host of the composed RabbitMQ URL.",
    "rabbitmq_port": "Port of the composed RabbitMQ URL.",
    "rabbitmq_vhost": "Virtual host of the composed RabbitMQ URL.",
    "redis_server_host": "Host of the composed Redis URL.",
    "redis_server_port": "Port of the composed Redis URL.",
    "redis_server_password": "Password of the composed Redis URL; any characters, or none.",
    "broker_redis_database": "Database number of the composed Redis URL.",
}

_PRECEDENCE: Final = f"""\
## Which server

The first line whose variables are set wins.

| | broker | results |
|---|---|---|
| 1 | `CELERY_BROKER_URL` | `CELERY_RESULT_BACKEND` |
| 2 | `RAPIDKIT_CELERY_BROKER_URL` | `RAPIDKIT_CELERY_RESULT_BACKEND` |
| 3 | composed: `CELERY_BROKER`, `CELERY_RABBITMQ_*`, `REDIS_HOST`, ... | composed, always Redis |
| 4 | `REDIS_URL` | `REDIS_URL` |
| 5 | `{DEFAULT_BROKER}` | `{DEFAULT_RESULTS}` |

Line 3 is in effect once `CELERY_BROKER`, `REDIS_HOST`, `CELERY_RABBITMQ_HOST` or `CELERY_BROKER_REDIS_DATABASE` is set;
a `REDIS_PASSWORD` or `REDIS_PORT` alone changes nothing. With a RabbitMQ broker, results stay in `REDIS_URL` unless
`REDIS_HOST` or `CELERY_BROKER_REDIS_DATABASE` is set. The service in this repository asks for `REDIS_URL` in any case.

An empty variable counts as not set. A variable `CELERY_...` that nothing reads is an error at start.
"""


def settings_table() -> str:
    """The page of all settings as markdown: variables, what they take, and what holds when they are not set."""
    own = [name for name in CelerySettings.model_fields if name in _OURS]
    listed = [*CeleryOptions.model_fields, *UnlistedOptions.model_fields]
    return "\n".join(
        (
            _PRECEDENCE,
            "## Celeriac's own\n",
            _table(("variable", "takes", "unless set", "meaning"), (_own_row(name) for name in own)),
            "## Celery's options\n",
            "The name leads to Celery's description. A default in bold is ours; any other is Celery's.\n",
            _table(("option", "variable", "takes", "unless set"), (_option_row(name) for name in listed)),
        )
    )


def _own_row(name: str) -> tuple[str, ...]:
    return _variables(name), _type(name), f"**{_text(CelerySettings.model_fields[name].default)}**", _OURS[name]


def _option_row(name: str) -> tuple[str, ...]:
    ours = CelerySettings.model_fields[name].get_default(call_default_factory=True)
    added = {
        "broker_transport_options": f"**Redis: {_text(REDIS_TRANSPORT)}, RabbitMQ: {_text(RABBITMQ_TRANSPORT)}**",
        "result_backend_transport_options": f"**Redis: {_text(RESULT_TRANSPORT)}**",
        "broker_url": "see above",
        "result_backend": "see above",
        "task_default_priority": "**normal: 6 on Redis, 3 on RabbitMQ**",
        "task_queue_max_priority": "**9 for a classic queue on RabbitMQ**",
    }.get(name)
    default = added or (f"**{_text(ours)}**" if ours is not None else _text(DEFAULTS.get(name)))
    return f"[{name}]({_CELERY}{name})", _variables(name), _type(name), default


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _variables(name: str) -> str:
    return ", ".join(f"`{variable}`" for variable in variables_of(name))


def _type(name: str) -> str:
    owners = (
        CelerySettings,
        CeleryOptions,
        UnlistedOptions,
        DeliveryOptions,
        HistoryOptions,
        SecurityOptions,
        BrokerAddress,
    )
    annotation = str(next(cls.__annotations__[name] for cls in owners if name in cls.__annotations__))
    literals = re.sub(
        r"Literal\[(.*?)\]", lambda found: found[1].replace('"', "").replace("'", "").replace(", ", " | "), annotation
    )
    words = (_WORDS.get(part, part) for part in literals.split(" | ") if part != "None")
    return " or ".join(word for word in words if word)


def _text(value: Any) -> str:
    # A default is no secret, whatever the type of its setting.
    plain: Any = value.get_secret_value() if isinstance(value, SecretStr) else value
    if plain is None or plain in ("", (), {}):
        return "none"
    if isinstance(plain, str):
        return f"`{' '.join(plain.split())}`"
    if isinstance(plain, timedelta):
        return f"{plain.total_seconds():g}"
    return f"`{json.dumps(plain)}`" if isinstance(plain, dict | tuple) else str(plain).lower()
