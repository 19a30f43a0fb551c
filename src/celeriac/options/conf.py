"""From settings to ``app.conf``: plain values, and bounds for every wait."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, cast

from kombu import Queue
from pydantic import Secret, SecretStr

from celeriac.options.address import is_rabbitmq, is_redis
from celeriac.options.delivery import DeliveryOptions
from celeriac.options.history import HistoryOptions
from celeriac.options.security import SecurityOptions
from celeriac.options.table import CeleryOptions, UnlistedOptions
from celeriac.tasks.policies import Priority

if TYPE_CHECKING:
    from celeriac.settings import CelerySettings

__all__ = ["RABBITMQ_TRANSPORT", "REDIS_TRANSPORT", "RESULT_TRANSPORT", "conf_of"]

# Celery waits for ever in several places: a server that drops packets then hangs whoever calls delay(). A publish waits
# at most three times for one of these, on the connection that broke and on two new ones, so an error comes within 5 s.
REDIS_TRANSPORT: Final[dict[str, Any]] = {
    "socket_connect_timeout": 1,
    "socket_timeout": 1.5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
# confirm_publish: without it RabbitMQ may lose what it took, and nobody is told.
RABBITMQ_TRANSPORT: Final[dict[str, Any]] = {"confirm_publish": True, "read_timeout": 1.5, "write_timeout": 1.5}
# Quorum queues count deliveries and survive the loss of a server; the delaying queues lead to topic exchanges alone.
RABBITMQ_USUAL: Final[dict[str, Any]] = {
    "task_default_queue_type": "quorum",
    "task_create_missing_queue_type": "quorum",
    "task_default_exchange_type": "topic",
    "task_create_missing_queue_exchange_type": "topic",
    # A connection that says nothing for two of these is dead; Celery's own 120 would take four minutes to find out.
    "broker_heartbeat": 6,
}
RESULT_TRANSPORT: Final[dict[str, Any]] = {
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
}


def conf_of(settings: CelerySettings) -> dict[str, Any]:
    """What goes into ``app.conf``: secrets unwrapped, and nothing that is left to Celery.

    Tables of transport options are laid over ours, so that a single key said keeps the bounds of the others.
    """
    ours_alone = (*DeliveryOptions.model_fields, *HistoryOptions.model_fields, *SecurityOptions.model_fields)
    names = (*CeleryOptions.model_fields, *UnlistedOptions.model_fields, *ours_alone)
    conf = {name: _plain(value) for name in names if (value := getattr(settings, name)) is not None}
    conf["environment"] = str(settings.environment)
    conf["broker_url"] = broker = _with_verified_tls(settings.broker_link())
    conf["result_backend"] = results = _with_verified_tls(settings.result_link())
    if settings.result_backend_pool_limit is not None:
        conf.setdefault("redis_max_connections", settings.result_backend_pool_limit)
    if is_redis(broker):
        ours = deepcopy(REDIS_TRANSPORT) | {
            "lease": settings.broker_lease,
            "max_deliveries": settings.task_max_deliveries,
        }
        conf["broker_transport_options"] = ours | conf.get("broker_transport_options", {})
        conf.setdefault("task_default_priority", Priority.NORMAL.on("redis"))
    elif is_rabbitmq(broker):
        conf["broker_transport_options"] = deepcopy(RABBITMQ_TRANSPORT) | conf.get("broker_transport_options", {})
        conf.setdefault("task_default_priority", Priority.NORMAL.on("amqp"))
        for name, value in RABBITMQ_USUAL.items():
            conf.setdefault(name, value)
    if is_redis(results):
        said = conf.get("result_backend_transport_options", {})
        conf["result_backend_transport_options"] = deepcopy(RESULT_TRANSPORT) | said
    if settings.task_queues is not None:
        # The default queue is always read: nobody would find out about messages in a queue that no worker reads.
        default: dict[str, Any] = {settings.task_default_queue: {}} if settings.task_default_queue else {}
        conf["task_queues"] = [_queue(name, said) for name, said in {**default, **settings.task_queues}.items()]
    return conf


def _plain(value: Any) -> Any:
    if isinstance(value, Secret | SecretStr):
        return _plain(cast("Secret[Any]", value).get_secret_value())
    items: Any = value  # a name of its own: isinstance() narrows `value` to a tuple of unknowns
    if isinstance(value, tuple):
        return list(items)
    # What one app does to its tables is no other's business.
    return deepcopy(items) if isinstance(value, dict) else value


def _queue(name: str, said: Any) -> Queue:
    if isinstance(said, Queue):
        return said
    # As Celery makes a queue that it is not told about, so that plain producers and workers agree with ours.
    return Queue.from_dict(name, **{"exchange": name, "exchange_type": "direct", "routing_key": name, **said})


def _with_verified_tls(url: str) -> str:
    # Celery refuses a rediss:// URL that does not say whether to check certificates. Checking is the right answer.
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=required"
